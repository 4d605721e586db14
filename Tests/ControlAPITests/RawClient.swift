// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import Testing

/// Bytes to the socket and back, with no idea of HTTP.
struct RawClient: Sendable {
  struct Exchange: Sendable {
    var text: String
    var status: Int? { text.split(separator: " ").dropFirst().first.flatMap { Int($0) } }
    var body: String { text.components("\r\n\r\n") }
  }

  private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

  static func connect(_ socket: String) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
    try await ClientBootstrap(group: group).connect(unixDomainSocketPath: socket) { channel in
      channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel(wrappingChannelSynchronously: channel) }
    }
  }

  /// A connection that only sends.
  static func open(_ socket: String) async throws -> any Channel {
    try await ClientBootstrap(group: group).connect(unixDomainSocketPath: socket).get()
  }

  /// Sends the pieces and returns what came until the server closed, or `until` was seen.
  static func exchange(
    _ socket: String, _ pieces: [[UInt8]], until end: String? = nil, pause: Duration = .zero
  ) async throws -> Exchange {
    let channel = try await connect(socket)
    return try await channel.executeThenClose { inbound, outbound in
      let writing = Task {
        for piece in pieces {
          try await outbound.write(ByteBuffer(bytes: piece))
          if pause > .zero { try await Task.sleep(for: pause) }
        }
      }
      defer { writing.cancel() }
      var text = ""
      do {
        for try await buffer in inbound {
          text += String(decoding: buffer.readableBytesView, as: UTF8.self)
          if let end, text.hasSuffix(end) { break }
        }
      } catch {
        // A reset after the answer is an end like any other.
      }
      return Exchange(text: text)
    }
  }

  /// One request that asks the server to close afterwards, unless the text says otherwise.
  static func exchange(_ socket: String, _ request: String, until end: String? = nil) async throws -> Exchange {
    let request =
      end != nil || request.contains("Connection:")
      ? request : request.replacing("\r\n", "\r\nConnection: close\r\n")
    return try await exchange(socket, [Array(request.utf8)], until: end)
  }
}

extension String {
  fileprivate func components(_ separator: String) -> String {
    guard let range = firstRange(of: separator) else { return "" }
    return String(self[range.upperBound...])
  }

  fileprivate func replacing(_ old: String, _ new: String) -> String {
    guard let range = firstRange(of: old) else { return self }
    return self[..<range.lowerBound] + new + self[range.upperBound...]
  }
}
