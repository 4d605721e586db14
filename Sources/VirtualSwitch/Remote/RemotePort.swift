// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A connection to a port of a switch in another process. What it sends, the switch judges there.
public final class RemotePort: SwitchConnection {
  public let name: String
  private let driver: RemoteDriver
  private let runner: DriverRunner
  private let receiver: Receiver
  private let changes = Mutex(())

  /// Connects to the switch whose port socket is at `path`, and comes back by itself when the switch does.
  ///
  /// `linkChanged` is called on a thread of the port when the switch went away or came back.
  public init(
    switchAt path: String, name: String, _ settings: PortSettings, capabilities: PortCapabilities = .none,
    sink: any SwitchPortSink, linkChanged: @escaping @Sendable (Bool) -> Void = { _ in }
  ) throws(SwitchError) {
    try settings.check()
    self.name = name
    let request = PortRequest(name: name, settings: settings, capabilities: capabilities)
    guard PortRequest(decoding: request.encoded) == request else {
      throw .refused("\"\(name)\" cannot be a port's name: use 1 to 64 printable characters without spaces")
    }
    driver = try RemoteDriver(path, request)
    receiver = Receiver(sink, linkChanged)
    runner = try DriverRunner("port", driver, receiver)
    try runner.start()
  }

  public var settings: PortSettings { driver.settings }
  public var isUp: Bool { receiver.isUp.load(ordering: .acquiring) }

  public func makeSender() -> any FrameSender { Sender(driver) }

  public func set(_ settings: PortSettings) throws(SwitchError) {
    try settings.check()
    try changes.withLock { _ throws(SwitchError) in try driver.set(settings) }
  }

  public func set(_ capabilities: PortCapabilities) { changes.withLock { _ in try? driver.set(capabilities) } }

  public func disconnect() {
    runner.stop()
    receiver.isUp.store(false, ordering: .releasing)
  }

  deinit { runner.stop() }

  private final class Sender: FrameSender {
    private let driver: RemoteDriver
    init(_ driver: RemoteDriver) { self.driver = driver }
    func send(_ frame: FrameView) -> Bool { driver.transmit(frame) }
    func flush() {}
  }

  private final class Receiver: DriverReceiver {
    let isUp = Atomic(false)
    private let sink: any SwitchPortSink
    private let changed: @Sendable (Bool) -> Void

    init(_ sink: any SwitchPortSink, _ changed: @escaping @Sendable (Bool) -> Void) {
      self.sink = sink
      self.changed = changed
    }

    func makeInlet() -> any DriverInlet { Inlet(sink) }

    func linkChanged(up: Bool, _ reason: String) {
      isUp.store(up, ordering: .releasing)
      changed(up)
    }

    private final class Inlet: DriverInlet {
      private let sink: any SwitchPortSink
      init(_ sink: any SwitchPortSink) { self.sink = sink }
      func take(_ frame: FrameView) { _ = sink.accept(frame, from: 0) }
      func flush() { sink.endBurst(from: 0) }
    }
  }
}
