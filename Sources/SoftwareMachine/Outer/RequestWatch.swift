// SPDX-License-Identifier: Apache-2.0

/// A request that a client of the control API made, as it passed by on its way into the software machine.
public struct ClientRequest: Equatable, Sendable {
  public var method: String
  /// As the client wrote it, with its query.
  public var target: String
  public var body: [UInt8]
}

/// Looks at what a client sends, without holding it up: HTTP/1.1 requests with small bodies.
///
/// The inner machine must not say itself which files it may have, so the outer one reads the client's words. The client
/// is the user, not an attacker: where it writes something that this does not understand, the watch ends, and the only
/// loss is that files it names later on this connection are not allowed.
struct RequestWatch {
  private enum State {
    case requestLine, headers
    case body(left: UInt64)
    case chunkSize, chunkEnd, trailers
    case chunk(left: UInt64)
    case blind
  }

  static let lineLimit = 16 << 10
  static let bodyLimit = 64 << 10

  private var state = State.requestLine
  private var line: [UInt8] = []
  private var request = ClientRequest(method: "", target: "", body: [])
  private var length: UInt64 = 0
  private var isChunked = false
  private var isUpgrade = false
  private var isTooLong = false

  mutating func receive(_ bytes: ArraySlice<UInt8>, _ found: (ClientRequest) -> Void) {
    var rest = bytes
    while !rest.isEmpty {
      switch state {
      case .blind: return
      case .body(let left):
        let left = takeBody(&rest, left)
        state = .body(left: left)
        if left == 0 { finish(found) }
      case .chunk(let left):
        let left = takeBody(&rest, left)
        state = left == 0 ? .chunkEnd : .chunk(left: left)
      default:
        guard let end = rest.firstIndex(of: 0x0A) else {
          line += rest
          if line.count > Self.lineLimit { state = .blind }
          return
        }
        line += rest[..<end]
        rest = rest[(end + 1)...]
        if line.last == 0x0D { line.removeLast() }
        guard line.count <= Self.lineLimit else {
          state = .blind
          return
        }
        take(line: String(decoding: line, as: UTF8.self), found)
        line.removeAll(keepingCapacity: true)
      }
    }
  }

  private mutating func takeBody(_ rest: inout ArraySlice<UInt8>, _ left: UInt64) -> UInt64 {
    let part = rest.prefix(Int(clamping: left))
    rest = rest.dropFirst(part.count)
    if request.body.count + part.count > Self.bodyLimit {
      isTooLong = true
      request.body = []
    }
    if !isTooLong { request.body += part }
    return left - UInt64(part.count)
  }

  private mutating func take(line: String, _ found: (ClientRequest) -> Void) {
    switch state {
    case .requestLine:
      // An empty line before a request is allowed.
      if line.isEmpty { return }
      let words = line.split(separator: " ")
      guard words.count == 3, words[2].hasPrefix("HTTP/1.") else {
        state = .blind
        return
      }
      request = ClientRequest(method: String(words[0]), target: String(words[1]), body: [])
      (length, isChunked, isUpgrade, isTooLong) = (0, false, false, false)
      state = .headers
    case .headers: take(header: line, found)
    case .chunkSize:
      guard let size = UInt64(line.prefix { $0 != ";" }.filter { $0 != " " }, radix: 16) else {
        state = .blind
        return
      }
      state = size == 0 ? .trailers : .chunk(left: size)
    case .chunkEnd: state = line.isEmpty ? .chunkSize : .blind
    case .trailers: if line.isEmpty { finish(found) }
    case .body, .chunk, .blind: break
    }
  }

  private mutating func take(header line: String, _ found: (ClientRequest) -> Void) {
    guard line.isEmpty else {
      let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else {
        state = .blind
        return
      }
      let value = String(parts[1].drop { $0 == " " || $0 == "\t" }).lowercased()
      switch parts[0].lowercased() {
      case "content-length":
        guard let length = UInt64(value.prefix { $0 != " " }) else {
          state = .blind
          return
        }
        self.length = length
      case "transfer-encoding": isChunked = value.hasSuffix("chunked")
      case "upgrade": isUpgrade = true
      default: break
      }
      return
    }
    if isUpgrade {
      state = .blind
    } else if isChunked {
      state = .chunkSize
    } else if length > 0 {
      state = .body(left: length)
    } else {
      finish(found)
    }
  }

  private mutating func finish(_ found: (ClientRequest) -> Void) {
    if !isTooLong && !request.body.isEmpty { found(request) }
    request.body = []
    state = .requestLine
  }
}
