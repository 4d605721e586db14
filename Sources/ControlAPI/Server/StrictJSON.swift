// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// JSON as the API takes and sends it. The parsing is Foundation's; what is added is the refusal of what it tolerates:
/// unknown fields, a field given twice, deep nesting, text that is not UTF-8.
enum StrictJSON {
  static func encode(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Our models hold no infinite numbers, the one thing the encoder refuses.
    guard var bytes = (try? encoder.encode(value)).map({ [UInt8]($0) }) else { return Array("null\n".utf8) }
    bytes.append(0x0a)
    return bytes
  }

  static func decode<Value: StrictlyDecodable>(
    _ type: Value.Type, from bytes: [UInt8], maximumDepth: Int
  ) throws(ControlError) -> Value {
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw ControlError(.badRequest, "the body is not valid UTF-8")
    }
    let fields = try JSONOutline.topLevelFields(of: bytes, maximumDepth: maximumDepth)
    for field in fields where !Value.knownFields.contains(field) {
      throw ControlError(
        .badRequest, "unknown field \"\(field)\"",
        remedy: "known fields are \(Value.knownFields.sorted().joined(separator: ", "))")
    }
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch {
      throw ControlError(.badRequest, describe(error))
    }
  }

  /// For answers, in the client: unknown fields are fine there.
  static func decodeAnswer<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws(ControlError) -> Value {
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch {
      throw ControlError(.hostFailure, "the machine's answer cannot be understood: \(describe(error))")
    }
  }

  private static func describe(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "the body is not valid JSON" }
    func path(_ context: DecodingError.Context) -> String {
      let path = context.codingPath.map(\.stringValue).joined(separator: ".")
      return path.isEmpty ? "the body" : "field \"\(path)\""
    }
    switch error {
    case .keyNotFound(let key, _): return "field \"\(key.stringValue)\" is missing"
    case .typeMismatch(let type, let context): return "\(path(context)) must be \(name(of: type))"
    case .valueNotFound(let type, let context): return "\(path(context)) must be \(name(of: type)), not null"
    case .dataCorrupted(let context) where context.codingPath.isEmpty: return "the body is not valid JSON"
    case .dataCorrupted(let context): return "\(path(context)) has a value that is not known"
    @unknown default: return "the body is not valid JSON"
    }
  }

  private static func name(of type: any Any.Type) -> String {
    switch type {
    case is Bool.Type: "true or false"
    case is String.Type: "text"
    case is Double.Type: "a number"
    default: type is any Collection.Type ? "a list or an object" : "of another type"
    }
  }
}
