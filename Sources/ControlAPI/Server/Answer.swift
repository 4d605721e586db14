// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// Sends a handler's reply from its task: each piece is written on the event loop and awaited, so that a client that
/// takes nothing holds the stream back.
struct Answer: Sendable {
  let channel: any Channel
  let handler: NIOLoopBound<ConnectionHandler>

  func send(_ reply: Reply) async {
    switch reply {
    case .json(let bytes): await send(200, "application/json", bytes)
    case .lines(let bytes): await send(200, Reply.linesType, bytes)
    case .done: await send(204, nil, [])
    case .stream(let contentType, let next):
      do {
        try await write { handler in .head(handler.answerHead(200, contentType, nil)) }
        while let bytes = await next() {
          try await write { _ in .body(.byteBuffer(ByteBuffer(bytes: bytes))) }
        }
        await end()
      } catch {
        // The client is gone; there is nobody to tell.
      }
    }
  }

  func send(_ error: ControlError) async {
    await send(error.code.httpStatus, "application/json", StrictJSON.encode(error))
  }

  private func send(_ status: Int, _ contentType: String?, _ bytes: [UInt8]) async {
    let channel = channel
    let handler = handler
    _ = try? await channel.eventLoop.submit {
      channel.write(
        HTTPServerResponsePart.head(handler.value.answerHead(status, contentType, bytes.count)), promise: nil)
      if !bytes.isEmpty {
        channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: bytes))), promise: nil)
      }
      handler.value.endAnswer()
    }.get()
  }

  private func write(_ part: @escaping @Sendable (ConnectionHandler) -> HTTPServerResponsePart) async throws {
    let channel = channel
    let handler = handler
    try await channel.eventLoop.flatSubmit { channel.writeAndFlush(part(handler.value)) }.get()
  }

  private func end() async {
    let handler = handler
    _ = try? await channel.eventLoop.submit { handler.value.endAnswer() }.get()
  }
}
