// SPDX-License-Identifier: Apache-2.0

public import HostSystem
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// What the connections of a server share.
final class ServerContext: Sendable {
  let served: Served
  let routes: [Route]
  let limits: ControlLimits
  let eventLoop: any EventLoop
  private let stopping = Atomic(false)

  init(_ served: Served, limits: ControlLimits, eventLoop: any EventLoop) {
    self.served = served
    routes = served.routes
    self.limits = limits
    self.eventLoop = eventLoop
  }

  var isStopping: Bool { stopping.load(ordering: .relaxed) }
  func beginStopping() { stopping.store(true, ordering: .relaxed) }
}

/// The control API of one machine: HTTP/1.1 and JSON on a UNIX socket, one thread for all connections.
public final class ControlServer: Sendable {
  private let group: MultiThreadedEventLoopGroup
  private let listener: any Channel
  private let context: ServerContext
  private let ledger: NIOLoopBound<ConnectionLedger>

  /// The socket, listening: clients may connect from now on and wait until somebody serves it. The caller holds the claim
  /// on its folder; a socket that is there is a leftover.
  public static func listen(at socket: String) throws(ControlError) -> Descriptor {
    do throws(SystemError) {
      return try Descriptor.listening(at: socket)
    } catch {
      throw ControlError(
        .hostFailure, "cannot listen on \(socket): \(error)", remedy: "check the folder and free space")
    }
  }

  /// Serves whoever connects to a listening socket. Starting costs several milliseconds: a machine whose guest should
  /// start soon is started in between.
  public static func start(
    serving control: any VirtualMachineControl, on socket: consuming Descriptor,
    limits: ControlLimits = ControlLimits()
  ) async throws(ControlError) -> ControlServer {
    try await start(.machine(control), on: socket, limits: limits)
  }

  /// The same for a virtual switch.
  public static func start(
    serving control: any SwitchControl, on socket: consuming Descriptor, limits: ControlLimits = ControlLimits()
  ) async throws(ControlError) -> ControlServer {
    try await start(.virtualSwitch(control), on: socket, limits: limits)
  }

  private static func start(
    _ served: Served, on socket: consuming Descriptor, limits: ControlLimits
  ) async throws(ControlError) -> ControlServer {
    let socket = socket.take()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let context = ServerContext(served, limits: limits, eventLoop: group.next())
    do {
      let ledger = try await group.next().submit {
        NIOLoopBound(ConnectionLedger(limit: limits.connections), eventLoop: context.eventLoop)
      }.get()
      let listener = try await ServerBootstrap(group: group)
        .childChannelInitializer { channel in initialize(channel, context, ledger) }
        .withBoundSocket(socket).get()
      return ControlServer(group: group, listener: listener, context: context, ledger: ledger)
    } catch {
      try? await group.shutdownGracefully()
      throw ControlError(.hostFailure, "the control socket cannot be served: \(error)")
    }
  }

  private init(
    group: MultiThreadedEventLoopGroup, listener: any Channel, context: ServerContext,
    ledger: NIOLoopBound<ConnectionLedger>
  ) {
    self.group = group
    self.listener = listener
    self.context = context
    self.ledger = ledger
  }

  private static func initialize(
    _ channel: any Channel, _ context: ServerContext, _ ledger: NIOLoopBound<ConnectionLedger>
  ) -> EventLoopFuture<Void> {
    channel.eventLoop.makeCompletedFuture {
      var limits = NIOHTTPDecoderLimitConfiguration()
      limits.maxHeaderFieldSize = context.limits.headBytes
      limits.maxHeaderListSize = context.limits.headBytes
      limits.maxHeaderFieldCount = 64
      let connection = ConnectionHandler(server: context, ledger: ledger.value)
      let pipeline = channel.pipeline.syncOperations
      try pipeline.addHandler(HeadGuard(connection, limit: context.limits.headBytes))
      try pipeline.configureHTTPServerPipeline(
        withErrorHandling: false, withOutboundHeaderValidation: true, withEncoderConfiguration: .init(),
        withDecoderLimitConfiguration: limits)
      try pipeline.addHandler(connection)
    }
  }

  /// Takes no more connections, lets requests that are being answered finish (`ControlLimits.drainTime`), closes the
  /// rest, and joins the thread. End the event log and the console first: their streams are answers too.
  public func stop() async {
    context.beginStopping()
    try? await listener.close().get()
    let ledger = ledger
    let deadline = ContinuousClock.now + .nanoseconds(context.limits.drainTime.nanoseconds)
    while ContinuousClock.now < deadline {
      let isServing = (try? await context.eventLoop.submit { ledger.value.isServing }.get()) ?? false
      guard isServing else { break }
      try? await Task.sleep(for: .milliseconds(5))
    }
    try? await context.eventLoop.submit { ledger.value.closeAll() }.get()
    try? await group.shutdownGracefully()
  }
}
