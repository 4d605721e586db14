// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// One operation of the API: what `docs/openapi.yaml` documents under a path and method.
struct Route: Sendable {
  enum Body: Sendable {
    case none
    /// Collected, at most `ControlLimits.jsonBytes`.
    case json
    /// Handed over as it comes; `knownLength` asks for a Content-Length.
    case stream(knownLength: Bool)
  }

  let method: HTTPMethod
  /// As in the OpenAPI file: `/v1/kvp/{pool}/{key}`.
  let path: String
  let query: Set<String>
  let body: Body
  let handle: @Sendable (Call) async throws(ControlError) -> Reply

  private let segments: [Segment]

  private enum Segment: Sendable {
    case literal(String)
    case parameter(String)
  }

  init(
    _ method: HTTPMethod, _ path: String, query: Set<String> = [], body: Body = .none,
    handle: @escaping @Sendable (Call) async throws(ControlError) -> Reply
  ) {
    self.method = method
    self.path = path
    self.query = query
    self.body = body
    self.handle = handle
    segments = path.dropFirst().split(separator: "/").map { segment in
      segment.hasPrefix("{") ? .parameter(String(segment.dropFirst().dropLast())) : .literal(String(segment))
    }
  }

  /// The values of the path's parameters, if the path fits.
  func match(_ path: [String]) -> [String: String]? {
    guard path.count == segments.count else { return nil }
    var parameters: [String: String] = [:]
    for (segment, text) in zip(segments, path) {
      switch segment {
      case .literal(let literal):
        guard literal == text else { return nil }
      case .parameter(let name):
        guard !text.isEmpty else { return nil }
        parameters[name] = text
      }
    }
    return parameters
  }

  /// The route for a request and its path's parameters.
  static func find(
    _ method: HTTPMethod, _ target: Target, in routes: [Route]
  ) throws(ControlError) -> (Route, [String: String]) {
    var methods: [String] = []
    for route in routes {
      guard let parameters = route.match(target.segments) else { continue }
      guard route.method == method else {
        methods.append(route.method.rawValue)
        continue
      }
      for name in target.query.keys.sorted() where !route.query.contains(name) {
        throw ControlError(
          .badRequest, "unknown query parameter \"\(name)\"",
          remedy: route.query.isEmpty
            ? "this call takes none" : "known ones are \(route.query.sorted().joined(separator: ", "))")
      }
      return (route, parameters)
    }
    let path = "/" + target.segments.joined(separator: "/")
    guard methods.isEmpty else {
      throw ControlError(
        .methodNotAllowed, "\(method.rawValue) is not a method of \(path)",
        remedy: "use \(methods.sorted().joined(separator: " or "))")
    }
    throw ControlError(.notFound, "nothing at \(path)", remedy: "docs/openapi.yaml lists what there is")
  }
}
