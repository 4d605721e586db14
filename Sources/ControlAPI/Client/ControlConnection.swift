// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// One request and its answer on a connection of its own.
struct ControlConnection: Sendable {
  enum Body: Sendable {
    case none
    case json([UInt8])
    /// `next` is pulled for a piece at a time, as fast as the server takes them.
    case stream(byteCount: UInt64, next: @Sendable () async throws(ControlError) -> [UInt8]?)
  }

  struct Response: Sendable {
    var status: Int
    var bytes: [UInt8]
  }

  typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

  /// Longer answers than this are not ours.
  static let maximumAnswerBytes = 64 << 20

  let socket: String

  private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

  private func connect() async throws -> Connection {
    try await ClientBootstrap(group: Self.group).connect(unixDomainSocketPath: socket) { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHTTPClientHandlers()
        return try Connection(wrappingChannelSynchronously: channel)
      }
    }
  }

  /// `receive` gets the pieces of a good answer as they come; without it they are collected.
  ///
  /// A machine whose process hangs or was stopped must not hang its client: the connection ends at `deadline`.
  func perform(
    _ method: HTTPMethod, _ target: String, _ body: Body, deadline: Duration? = nil,
    receive: (@Sendable ([UInt8]) async -> Void)? = nil
  ) async throws(ControlError) -> Response {
    let connection: Connection
    do {
      connection = try await connect()
    } catch {
      throw ControlError(.notRunning, "nothing listens on \(socket)")
    }
    let failure = FirstFailure()
    do {
      let response = try await connection.executeThenClose { inbound, _ in
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            do throws(ControlError) {
              try await send(method, target, body, connection.channel)
            } catch {
              // Without the end of the body no answer will come: end the connection, and the wait with it.
              failure.record(error)
              try? await connection.channel.close().get()
            }
          }
          if let deadline {
            group.addTask {
              try await Task.sleep(for: deadline)
              failure.record(
                ControlError(.timedOut, "the machine has not answered for \(deadline.components.seconds) s"))
              try? await connection.channel.close().get()
            }
          }
          let response = try await read(inbound, receive)
          group.cancelAll()
          return response
        }
      }
      if let response { return response }
    } catch {
      // Reported below: what was thrown says only that the connection ended.
    }
    if Task.isCancelled { throw ControlError(.cancelled, "given up on request") }
    throw failure.error ?? ControlError(.hostFailure, "the machine closed the connection without an answer")
  }

  private func send(
    _ method: HTTPMethod, _ target: String, _ body: Body, _ channel: any Channel
  ) async throws(ControlError) {
    var headers = HTTPHeaders([("host", "lis"), ("connection", "close")])
    switch body {
    case .none: if method != .GET { headers.add(name: "content-length", value: "0") }
    case .json(let bytes):
      headers.add(name: "content-type", value: "application/json")
      headers.add(name: "content-length", value: "\(bytes.count)")
    case .stream(let byteCount, _):
      headers.add(name: "content-type", value: "application/octet-stream")
      headers.add(name: "content-length", value: "\(byteCount)")
    }
    // Each part waits until the socket has taken the one before: a channel's writer takes megabytes before it says that it is
    // full. False: the server has answered early, or is gone; the reading side finds out which.
    func write(_ part: HTTPClientRequestPart) async -> Bool {
      await withTaskCancellationHandler {
        do {
          try await channel.writeAndFlush(part).get()
          return true
        } catch {
          return false
        }
      } onCancel: {
        channel.close(promise: nil)
      }
    }
    let head = HTTPRequestHead(version: .http1_1, method: method, uri: target, headers: headers)
    guard await write(.head(head)) else { return }
    switch body {
    case .none: break
    case .json(let bytes): guard await write(.body(.byteBuffer(ByteBuffer(bytes: bytes)))) else { return }
    case .stream(_, let next):
      while let bytes = try await next() {
        guard await write(.body(.byteBuffer(ByteBuffer(bytes: bytes)))) else { return }
      }
    }
    _ = await write(.end(nil))
  }

  /// `nil`: the connection ended before the answer did.
  private func read(
    _ inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>, _ receive: (@Sendable ([UInt8]) async -> Void)?
  ) async throws -> Response? {
    var response: Response?
    for try await part in inbound {
      switch part {
      case .head(let head): response = Response(status: Int(head.status.code), bytes: [])
      case .body(let buffer):
        guard var soFar = response else { return nil }
        if let receive, soFar.status == 200 {
          await receive(Array(buffer.readableBytesView))
        } else {
          guard soFar.bytes.count + buffer.readableBytes <= Self.maximumAnswerBytes else { return nil }
          response = nil
          soFar.bytes.append(contentsOf: buffer.readableBytesView)
          response = soFar
        }
      case .end: return response
      }
    }
    return nil
  }
}

/// Why the request could not be sent, for the side that waits for its answer.
private final class FirstFailure: Sendable {
  private let state = Mutex<ControlError?>(nil)

  var error: ControlError? { state.withLock { $0 } }
  func record(_ error: ControlError) { state.withLock { $0 = $0 ?? error } }
}
