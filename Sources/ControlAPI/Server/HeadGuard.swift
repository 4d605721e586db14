// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Stands before the HTTP decoder and bounds what a client may send before its request's head is complete: the decoder
/// bounds fields, but not the target.
final class HeadGuard: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let connection: ConnectionHandler
  private let limit: Int
  private var byteCount = 0

  init(_ connection: ConnectionHandler, limit: Int) {
    self.connection = connection
    self.limit = limit
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if connection.isAwaitingRequest {
      guard byteCount <= limit else {
        connection.refuseHead()
        return
      }
      byteCount += unwrapInboundIn(data).readableBytes
    }
    context.fireChannelRead(data)
    if !connection.isAwaitingRequest { byteCount = 0 }
  }
}
