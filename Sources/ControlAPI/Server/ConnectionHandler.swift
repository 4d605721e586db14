// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// One client. Lives on the event loop; takes a request apart, starts a task for its handler, and watches the clock.
///
/// Requests come one at a time (NIO's pipeline handler sees to that). A request's two halves end independently: an early
/// refusal may be sent while the body still comes in.
final class ConnectionHandler: ChannelDuplexHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  /// What is done with the parts of the request that come.
  private enum Intake {
    case awaitingHead
    case collecting(Exchange, bytes: [UInt8])
    case streaming(BodyPipe)
    /// The answer is decided; what comes is thrown away.
    case discarding
    case complete
  }

  /// A routed request before its handler was started.
  struct Exchange {
    var route: Route
    var parameters: [String: String]
    var query: [String: String]
  }

  private enum Timer: Hashable {
    case head, body, write, linger
  }

  private let server: ServerContext
  private let ledger: ConnectionLedger
  private var context: ChannelHandlerContext?
  private var intake = Intake.awaitingHead
  private var isAnswering = false
  private var keepAlive = true
  private var heldBackRead = false
  private var timers: [Timer: Scheduled<Void>] = [:]
  private var task: Task<Void, Never>?
  /// The body or the answer is a stream: the exchange ends with its client, even when all of the body has come.
  private var needsClient = false
  private(set) var waitingSince: UInt64 = 0

  init(server: ServerContext, ledger: ConnectionLedger) {
    self.server = server
    self.ledger = ledger
  }

  var isAwaitingRequest: Bool {
    if case .awaitingHead = intake { return !isAnswering }
    return false
  }

  // MARK: Life

  func channelActive(context: ChannelHandlerContext) {
    self.context = context
    guard ledger.admit(self) else {
      answer(
        with: ControlError(.tooManyClients, "too many clients are being served", remedy: "try again later"), close: true
      )
      return
    }
    awaitHead()
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    ledger.forget(self)
    for timer in timers.values { timer.cancel() }
    timers = [:]
    if case .streaming(let pipe) = intake {
      pipe.fail(ControlError(.cancelled, "the client went away before the end of the request's body"))
    }
    if needsClient { task?.cancel() }
    intake = .complete
    self.context = nil
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // Not HTTP, or a broken connection. Whoever speaks no HTTP gets one answer that a human can read.
    if error is HTTPParserError, isAwaitingRequest {
      answer(with: ControlError(.badRequest, "this is not an HTTP/1.1 request"), close: true)
    } else {
      context.close(promise: nil)
    }
  }

  /// Makes way for another client, or for the end of the server.
  func evict() { context?.close(promise: nil) }

  /// The head exceeds its limit.
  func refuseHead() {
    guard isAwaitingRequest else { return }
    answer(with: ControlError(.tooLarge, "the request's head is too large"), close: true)
  }

  private func awaitHead() {
    intake = .awaitingHead
    waitingSince = ledger.nextMoment()
    arm(.head, server.limits.headTime) { $0.context?.close(promise: nil) }
  }

  // MARK: Request

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch (unwrapInboundIn(data), intake) {
    case (.head(let head), .awaitingHead): receive(head)
    case (.head, _): context.close(promise: nil)  // cannot happen: one request at a time
    case (.body(let buffer), .collecting(let exchange, var bytes)):
      intake = .discarding
      bytes.append(contentsOf: buffer.readableBytesView)
      guard bytes.count <= server.limits.jsonBytes else {
        answer(with: bodyTooLarge, close: true)
        return
      }
      intake = .collecting(exchange, bytes: bytes)
    case (.body(let buffer), .streaming(let pipe)):
      armStreamIdle()
      pipe.push(Array(buffer.readableBytesView))
    case (.body, _): break
    case (.end, .collecting(let exchange, let bytes)):
      intake = .complete
      disarm(.body)
      if case .none = exchange.route.body, !bytes.isEmpty {
        answer(with: ControlError(.badRequest, "this call takes no body"), close: false)
      } else {
        handle(exchange, body: bytes, stream: nil)
      }
    case (.end, .streaming(let pipe)):
      intake = .complete
      disarm(.body)
      pipe.finish()
      finishExchange()
    case (.end, _):
      intake = .complete
      finishExchange()
    }
  }

  private func receive(_ head: HTTPRequestHead) {
    disarm(.head)
    keepAlive = head.isKeepAlive
    intake = .discarding
    let exchange: Exchange
    do throws(ControlError) {
      let target = try Target(head.uri)
      let (route, parameters) = try Route.find(head.method, target, in: server.routes)
      exchange = Exchange(route: route, parameters: parameters, query: target.query)
    } catch {
      return answer(with: error, close: head.mayHaveBody)
    }
    let length = head.headers.first(name: "content-length").flatMap { UInt64($0) }
    switch exchange.route.body {
    case .none, .json:
      if let length, length > UInt64(server.limits.jsonBytes) { return answer(with: bodyTooLarge, close: true) }
      invite(head)
      intake = .collecting(exchange, bytes: [])
      arm(.body, server.limits.bodyTime) { handler in
        handler.intake = .discarding
        handler.answer(with: ControlError(.timedOut, "the request's body did not come in time"), close: true)
      }
    case .stream(let knownLength):
      guard length != nil || !knownLength else {
        return answer(
          with: ControlError(.badRequest, "the request has no Content-Length", remedy: "send the file's size with it"),
          close: true)
      }
      invite(head)
      let reader = NIOLoopBound(self, eventLoop: server.eventLoop)
      let eventLoop = server.eventLoop
      let pipe = BodyPipe(announcedByteCount: length) { eventLoop.execute { reader.value.releaseRead() } }
      intake = .streaming(pipe)
      armStreamIdle()
      handle(exchange, body: [], stream: pipe)
    }
  }

  /// A client that waits for leave to send its body (curl does above 1 MiB) gets it once the head is found good.
  private func invite(_ head: HTTPRequestHead) {
    guard head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" }) else { return }
    context?.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
  }

  private var bodyTooLarge: ControlError {
    ControlError(.tooLarge, "the request's body is longer than \(server.limits.jsonBytes) bytes")
  }

  private func armStreamIdle() {
    arm(.body, server.limits.streamIdleTime) { handler in
      guard case .streaming(let pipe) = handler.intake else { return }
      // A full pipe is the guest's slowness, not the client's.
      guard !pipe.isFull else { return handler.armStreamIdle() }
      pipe.fail(ControlError(.timedOut, "the rest of the request's body did not come in time"))
      handler.intake = .discarding
      handler.keepAlive = false
    }
  }

  // MARK: Back-pressure

  func read(context: ChannelHandlerContext) {
    if case .streaming(let pipe) = intake, pipe.isFull {
      heldBackRead = true
      return
    }
    context.read()
  }

  private func releaseRead() {
    guard heldBackRead else { return }
    heldBackRead = false
    context?.read()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable {
      disarm(.write)
    } else {
      arm(.write, server.limits.writeTime) { $0.context?.close(promise: nil) }
    }
    context.fireChannelWritabilityChanged()
  }

  // MARK: Answer

  private func handle(_ exchange: Exchange, body: [UInt8], stream: BodyPipe?) {
    guard let context else { return }
    isAnswering = true
    needsClient = stream != nil
    let call = Call(
      served: server.served, parameters: exchange.parameters, query: exchange.query, body: body, stream: stream,
      limits: server.limits)
    let answer = Answer(channel: context.channel, handler: NIOLoopBound(self, eventLoop: server.eventLoop))
    let route = exchange.route
    task = Task {
      do throws(ControlError) {
        await answer.send(try await route.handle(call))
      } catch {
        await answer.send(error)
      }
    }
  }

  /// A refusal that needs no handler.
  private func answer(with error: ControlError, close: Bool) {
    guard !isAnswering, let context else { return }
    isAnswering = true
    if close { keepAlive = false }
    disarm(.head)
    disarm(.body)
    if case .awaitingHead = intake { intake = .discarding }
    let bytes = StrictJSON.encode(error)
    context.write(
      wrapOutboundOut(.head(answerHead(error.code.httpStatus, "application/json", bytes.count))), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
    endAnswer()
  }

  /// On the event loop; `length` nil for a stream.
  func answerHead(_ status: Int, _ contentType: String?, _ length: Int?) -> HTTPResponseHead {
    var headers = HTTPHeaders()
    if let contentType { headers.add(name: "content-type", value: contentType) }
    if let length, status != 204 { headers.add(name: "content-length", value: "\(length)") }
    // The rest of a body that nobody wants would have to be read before the next request.
    if case .complete = intake {} else { keepAlive = false }
    if !keepAlive { headers.add(name: "connection", value: "close") }
    needsClient = length == nil && status == 200
    return HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: headers)
  }

  /// On the event loop, after head and body were written.
  func endAnswer() {
    guard let context else { return }
    if case .streaming(let pipe) = intake {
      pipe.fail(ControlError(.cancelled, "the request was answered before the end of its body"))
      intake = .discarding
      releaseRead()
    }
    needsClient = false
    task = nil
    isAnswering = false
    // The next request may be delivered from within this write: be ready for it first.
    if canGoOn { awaitHead() }
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    if !keepAlive || server.isStopping { finishExchange() }
  }

  /// Both halves of the exchange are over and another may come.
  private var canGoOn: Bool {
    guard case .complete = intake else { return false }
    return !isAnswering && keepAlive && !server.isStopping
  }

  /// Called when a half ends; does something when both are over, or one lingers.
  private func finishExchange() {
    guard let context, !isAnswering else { return }
    if canGoOn { return awaitHead() }
    if case .complete = intake {
      // The end of a pipelined request may be delivered from within the write of its answer, before that is flushed.
      context.flush()
      context.close(promise: nil)
    } else {
      arm(.linger, server.limits.lingerTime) { $0.context?.close(promise: nil) }
    }
  }

  // MARK: Clock

  private func arm(_ timer: Timer, _ time: TimeAmount, _ action: @escaping (ConnectionHandler) -> Void) {
    timers[timer]?.cancel()
    let bound = NIOLoopBound((self, action), eventLoop: server.eventLoop)
    timers[timer] = server.eventLoop.scheduleTask(in: time) {
      let (handler, action) = bound.value
      action(handler)
    }
  }

  private func disarm(_ timer: Timer) { timers.removeValue(forKey: timer)?.cancel() }
}

extension HTTPRequestHead {
  fileprivate var mayHaveBody: Bool {
    headers.contains(name: "transfer-encoding") || headers.first(name: "content-length").map { $0 != "0" } ?? false
  }
}
