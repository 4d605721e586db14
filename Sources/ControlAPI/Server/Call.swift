// SPDX-License-Identifier: Apache-2.0

/// A request as its handler sees it: routed, its parameters decoded, its body collected or ready to be pulled.
struct Call: Sendable {
  /// What the server serves.
  let served: Served
  /// The values of `{…}` in the route's path.
  let parameters: [String: String]
  let query: [String: String]
  let body: [UInt8]
  /// The body of a route that streams.
  let stream: BodyPipe?
  let limits: ControlLimits

  /// The machine. A route of the machine's table is never asked on a switch's socket.
  var control: any VirtualMachineControl {
    get throws(ControlError) {
      guard case .machine(let machine) = served else { throw ControlError(.hostFailure, "not a machine's call") }
      return machine
    }
  }

  /// The switch, for the routes of its table.
  var virtualSwitch: any SwitchControl {
    get throws(ControlError) {
      guard case .virtualSwitch(let control) = served else { throw ControlError(.hostFailure, "not a switch's call") }
      return control
    }
  }

  func parameter(_ name: String) -> String { parameters[name] ?? "" }

  func flag(_ name: String) throws(ControlError) -> Bool {
    switch query[name] {
    case nil, "false": false
    case "true", "": true
    case .some(let text):
      throw ControlError(.badRequest, "query parameter \"\(name)\" is \"\(text)\"", remedy: "use true or false")
    }
  }

  func decode<Value: StrictlyDecodable>(_ type: Value.Type) throws(ControlError) -> Value {
    // A call without a body means the defaults.
    try StrictJSON.decode(type, from: body.isEmpty ? Array("{}".utf8) : body, maximumDepth: limits.jsonDepth)
  }

  /// A time in seconds from a body, within bounds.
  func duration(
    _ seconds: Double?, _ field: String, in range: ClosedRange<Double>, default value: Duration
  ) throws(ControlError) -> Duration {
    guard let seconds else { return value }
    guard range.contains(seconds) else {
      throw ControlError(
        .badRequest, "field \"\(field)\" is \(seconds)",
        remedy: "use \(Int(range.lowerBound)) to \(Int(range.upperBound)) seconds")
    }
    return .milliseconds(Int64(seconds * 1000))
  }
}

/// What a handler answers.
enum Reply: Sendable {
  /// 200 with one JSON value.
  case json([UInt8])
  /// 204.
  case done
  /// 200 with lines of JSON, complete.
  case lines([UInt8])
  /// 200 with a body of unknown length; `next` is called for a piece at a time until it answers `nil`.
  case stream(contentType: String, next: @Sendable () async -> [UInt8]?)

  static let linesType = "application/x-ndjson"

  static func value(_ value: some Encodable) -> Reply { .json(StrictJSON.encode(value)) }
}
