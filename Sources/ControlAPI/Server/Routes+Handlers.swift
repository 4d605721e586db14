// SPDX-License-Identifier: Apache-2.0

/// The handlers that are longer than a line or two.
extension Routes {
  static func stop(_ call: Call) async throws(ControlError) -> Reply {
    let request = try call.decode(StopRequest.self)
    let timeout = try call.duration(
      request.timeoutSeconds, "timeoutSeconds", in: 1...3600, default: StopRequest.defaultTimeout)
    switch request.mode ?? .shutdown {
    case .shutdown: try await call.control.shutDown(timeout: timeout)
    case .turnOff: try await call.control.turnOff()
    }
    return .done
  }

  static func restart(_ call: Call) async throws(ControlError) -> Reply {
    let request = try call.decode(RestartRequest.self)
    let timeout = try call.duration(
      request.timeoutSeconds, "timeoutSeconds", in: 1...3600, default: StopRequest.defaultTimeout)
    switch request.mode ?? .reboot {
    case .reboot: try await call.control.reboot(timeout: timeout)
    case .reset: try await call.control.reset()
    }
    return .done
  }

  static func copyFile(_ call: Call) async throws(ControlError) -> Reply {
    guard let path = call.query["path"], path.hasPrefix("/"), !path.hasSuffix("/") else {
      throw ControlError(
        .badRequest, "query parameter \"path\" is not an absolute path of a file",
        remedy: "use path=/folder/name, percent-encoded")
    }
    guard let stream = call.stream, let byteCount = stream.announcedByteCount else {
      throw ControlError(.badRequest, "the request has no Content-Length", remedy: "send the file's size with it")
    }
    let request = FileCopyRequest(
      path: path, overwrite: try call.flag("overwrite"), createFolders: try call.flag("createFolders"))
    let source = FileCopySource(byteCount: byteCount) { () async throws(ControlError) -> [UInt8]? in
      try await stream.next()
    }
    return .value(try await call.control.copyFile(request, from: source))
  }

  static func events(_ call: Call) async throws(ControlError) -> Reply {
    var since: UInt64?
    if let text = call.query["since"] {
      guard let number = UInt64(text) else {
        throw ControlError(
          .badRequest, "query parameter \"since\" is \"\(text)\"", remedy: "use an event's sequence number, or 0")
      }
      since = number
    }
    guard try call.flag("follow") else {
      let lines = try call.control.events.past(since: since ?? 0).flatMap { StrictJSON.encode($0) }
      return .lines(lines)
    }
    let events = try call.control.events.follow(since: since)
    return .stream(contentType: Reply.linesType) {
      for await event in events { return StrictJSON.encode(event) }
      return nil
    }
  }

  static func console(_ call: Call) throws(ControlError) -> ConsoleHub {
    guard let console = try call.control.console else {
      throw ControlError(
        .wrongState, "the machine has no serial console that can be attached",
        remedy: "start it without `--serial off`")
    }
    return console
  }

  static func pool(_ call: Call) throws(ControlError) -> KeyValuePool {
    guard let pool = KeyValuePool(rawValue: call.parameter("pool")) else {
      throw ControlError(
        .notFound, "no pool \"\(call.parameter("pool"))\"",
        remedy: "pools are \(KeyValuePool.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return pool
  }

  static func serviceName(_ text: String) throws(ControlError) -> ServiceName {
    guard let name = ServiceName(rawValue: text) else {
      throw ControlError(
        .notFound, "no service \"\(text)\"",
        remedy: "services are \(ServiceName.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return name
  }
}
