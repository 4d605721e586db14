// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Yams

/// The API's description, as far as the tests need it: operations, and schemas that JSON can be checked against.
struct OpenAPI {
  struct Operation {
    var method: String
    var path: String
    var node: Node
    /// Of the operation and its path.
    var parameters: [Node]

    func parameters(in place: String) -> Set<String> {
      Set(parameters.filter { $0["in"]?.string == place }.compactMap { $0["name"]?.string })
    }

    /// Yams tells the text "200" from the number; the key is compared as text.
    func response(_ status: Int) -> Node? {
      node["responses"]?.mapping?.first { $0.key.string == "\(status)" }?.value
    }

    func schema(ofStatus status: Int, _ contentType: String) -> Node? {
      response(status)?["content"]?[contentType]?["schema"]
    }

    var requestSchema: Node? { node["requestBody"]?["content"]?["application/json"]?["schema"] }
    var requestTypes: [String] { node["requestBody"]?["content"]?.mapping?.keys.compactMap(\.string) ?? [] }
  }

  let root: Node
  let operations: [Operation]

  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  init(_ file: String = "docs/openapi.yaml") throws {
    let text = try String(contentsOf: Self.folder.appending(path: file), encoding: .utf8)
    let root = try #require(try Yams.compose(yaml: text))
    self.root = root
    var operations: [Operation] = []
    for (path, item) in try #require(root["paths"]?.mapping) {
      let shared = item["parameters"].map { Array($0.sequence ?? []) } ?? []
      for (method, node) in item.mapping ?? [:] where method.string != "parameters" {
        operations.append(
          Operation(
            method: (method.string ?? "").uppercased(), path: path.string ?? "", node: node,
            parameters: shared + (node["parameters"].map { Array($0.sequence ?? []) } ?? [])))
      }
    }
    self.operations = operations
  }

  func resolved(_ schema: Node) throws -> Node {
    guard let reference = schema["$ref"]?.string else { return schema }
    var node = root
    for part in reference.dropFirst(2).split(separator: "/") { node = try #require(node[String(part)]) }
    return node
  }

  /// What is wrong with a value, each with its place; empty if it fits.
  func violations(of value: Any, _ schema: Node, at place: String = "$") throws -> [String] {
    let schema = try resolved(schema)
    var found: [String] = []
    switch schema["type"]?.string {
    case "object":
      guard let object = value as? [String: Any] else { return ["\(place): not an object"] }
      let properties = schema["properties"]?.mapping
      for name in schema["required"]?.sequence?.compactMap(\.string) ?? [] where object[name] == nil {
        found.append("\(place): \(name) is missing")
      }
      for (name, child) in object {
        if let childSchema = properties?[Node(name)] {
          found += try violations(of: child, childSchema, at: "\(place).\(name)")
        } else if let rest = schema["additionalProperties"], rest.mapping != nil {
          found += try violations(of: child, rest, at: "\(place).\(name)")
        } else {
          found.append("\(place): \(name) is not documented")
        }
      }
    case "array":
      guard let array = value as? [Any] else { return ["\(place): not an array"] }
      let items = try #require(schema["items"])
      for (index, child) in array.enumerated() {
        found += try violations(of: child, items, at: "\(place)[\(index)]")
      }
    case "string":
      guard let text = value as? String else { return ["\(place): not a string"] }
      if let choices = schema["enum"]?.sequence?.compactMap(\.string), !choices.contains(text) {
        found.append("\(place): \(text) is not documented")
      }
    case "boolean": if !(value is Bool) { found.append("\(place): not a boolean") }
    case "integer":
      if !((value as? NSNumber).map { $0.doubleValue == $0.doubleValue.rounded() } ?? false) {
        found.append("\(place): not an integer")
      }
    case "number": if !(value is NSNumber) { found.append("\(place): not a number") }
    default: found.append("\(place): a schema without a known type")
    }
    return found
  }
}
