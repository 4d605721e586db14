// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization

/// A switch that runs: ports come and go, frames pass on the threads of those that send. All of it may be called from any
/// thread.
///
/// Locks: `control` (one change of ports at a time), then `wiring` (who is at a port), then `machine` (the decision), then
/// a sink's own.
public final class SwitchEngine: Sendable {
  /// Does not change, so that whoever sends may hold it without copying what it consists of.
  final class Slot: Sendable {
    let name: String
    let kind: PortKind
    let detail: String
    /// Tells a port from the one that had its place before.
    let generation: UInt64
    let sink: any SwitchPortSink
    let capabilities: PortCapabilities

    init(
      name: String, kind: PortKind, detail: String, generation: UInt64, sink: any SwitchPortSink,
      capabilities: PortCapabilities
    ) {
      self.name = name
      self.kind = kind
      self.detail = detail
      self.generation = generation
      self.sink = sink
      self.capabilities = capabilities
    }
  }

  struct Wiring {
    var slots = [Slot?](repeating: nil, count: Switch.maximumPorts)
    var captures: [PortCapture] = []
  }

  public let name: String
  let wiring = ReadWriteLocked(Wiring())
  let machine: Mutex<Switch>
  private let generations = Atomic<UInt64>(0)
  private struct Control {
    var uplinks: [String: DriverRunner] = [:]
    var listener: PortListener?
  }
  private let control = Mutex(Control())

  public init(name: String) {
    self.name = name
    var seed: UInt64 = 0
    _ = unsafe withUnsafeMutableBytes(of: &seed) { unsafe clinux_random($0.baseAddress, $0.count) }
    machine = Mutex(Switch(seed: seed))
  }

  // MARK: Ports

  /// Connects an adapter of this process. Frames for it go to `sink` until the connection is disconnected.
  public func connect(
    _ name: String, _ settings: PortSettings, capabilities: PortCapabilities = .none, sink: any SwitchPortSink
  ) throws(SwitchError) -> any SwitchConnection {
    try connect(name, settings, kind: .adapter, detail: "", capabilities: capabilities, sink: sink)
  }

  func connect(
    _ name: String, _ settings: PortSettings, kind: PortKind, detail: String, capabilities: PortCapabilities,
    sink: any SwitchPortSink
  ) throws(SwitchError) -> EnginePort {
    let generation = generations.add(1, ordering: .relaxed).newValue
    let port = try wiring.write { wiring throws(SwitchError) in
      guard !wiring.slots.contains(where: { $0?.name == name }) else { throw .nameTaken(name) }
      let port = try change(wiring) { machine throws(SwitchError) in try machine.connect(settings) }
      wiring.slots[Int(port.rawValue)] = Slot(
        name: name, kind: kind, detail: detail, generation: generation, sink: sink, capabilities: capabilities)
      return port
    }
    return EnginePort(name: name, port: port, generation: generation, engine: self)
  }

  /// An error that names a port gets its name: the machine knows numbers only.
  private func change<Result: Sendable>(
    _ wiring: Wiring, _ body: (inout Switch) throws(SwitchError) -> Result
  ) throws(SwitchError) -> Result {
    try machine.withLock { machine throws(SwitchError) in
      do throws(SwitchError) {
        return try body(&machine)
      } catch .addressTaken(let address, _) {
        let owner = machine.owner(of: address).flatMap { wiring.slots[Int($0.rawValue)]?.name }
        throw .addressTaken(address, by: owner ?? "")
      }
    }
  }

  /// The slot's port, while it is the same one.
  private static func slot(_ wiring: borrowing Wiring, _ port: PortID, _ generation: UInt64) -> Slot? {
    guard let slot = wiring.slots[Int(port.rawValue)], slot.generation == generation else { return nil }
    return slot
  }

  func disconnect(_ port: PortID, _ generation: UInt64) {
    wiring.write { wiring in
      guard Self.slot(wiring, port, generation) != nil else { return }
      wiring.slots[Int(port.rawValue)] = nil
      machine.withLock { $0.disconnect(port) }
    }
  }

  func set(_ settings: PortSettings, at port: PortID, _ generation: UInt64) throws(SwitchError) {
    try wiring.write { wiring throws(SwitchError) in
      guard Self.slot(wiring, port, generation) != nil else { throw .closed }
      try change(wiring) { machine throws(SwitchError) in try machine.set(settings, at: port) }
    }
  }

  func set(_ capabilities: PortCapabilities, at port: PortID, _ generation: UInt64) {
    wiring.write { wiring in
      guard let old = Self.slot(wiring, port, generation) else { return }
      wiring.slots[Int(port.rawValue)] = Slot(
        name: old.name, kind: old.kind, detail: old.detail, generation: generation, sink: old.sink,
        capabilities: capabilities)
    }
  }

  func setLink(up: Bool, at port: PortID, _ generation: UInt64) {
    wiring.write { wiring in
      guard Self.slot(wiring, port, generation) != nil else { return }
      machine.withLock { $0.setLink(up: up, at: port) }
    }
  }

  func isUp(_ port: PortID, _ generation: UInt64) -> Bool {
    wiring.read { wiring in
      Self.slot(wiring, port, generation) != nil && machine.withLock { $0.isUp(port) }
    }
  }

  func settings(of port: PortID, _ generation: UInt64) -> PortSettings? {
    wiring.read { wiring in
      Self.slot(wiring, port, generation) == nil ? nil : machine.withLock { $0.settings(of: port) }
    }
  }

  // MARK: Ways out

  /// Adds a way out as a port. Returns once it is open, or with the reason why it is not; nothing is left then. When it
  /// goes away later its port's link goes down, and up again when it is back.
  public func add(
    _ uplink: Uplink, named name: String, _ settings: PortSettings = .uplink()
  ) throws(SwitchError) {
    try settings.check()
    let driver = try uplink.driver(settings)
    try control.withLock { control throws(SwitchError) in
      guard control.uplinks[name] == nil else { throw .nameTaken(name) }
      let way = UplinkPort(driver)
      let runner = try DriverRunner("uplink", driver, way)
      driver.whenPending { [weak runner] in runner?.wakeUp() }
      let port = try connect(
        name, settings, kind: .uplink, detail: driver.detail, capabilities: driver.capabilities, sink: way)
      way.connected(port)
      do throws(SwitchError) {
        try runner.start()
      } catch {
        port.disconnect()
        throw error
      }
      control.uplinks[name] = runner
    }
  }

  /// Takes a way out away again.
  public func removeUplink(_ name: String) throws(SwitchError) {
    let runner = control.withLock { $0.uplinks.removeValue(forKey: name) }
    guard let runner else { throw .noSuchPort(name) }
    runner.stop()
    disconnect(name)
  }

  private func disconnect(_ name: String) {
    wiring.write { wiring in
      guard let place = wiring.slots.firstIndex(where: { $0?.name == name }) else { return }
      wiring.slots[place] = nil
      machine.withLock { $0.disconnect(PortID(rawValue: UInt8(place))) }
    }
  }

  /// Lets processes of this user attach at a UNIX socket.
  public func listen(at path: String) throws(SwitchError) {
    try control.withLock { control throws(SwitchError) in
      guard control.listener == nil else { return }
      control.listener = try PortListener(self, at: path)
    }
  }

  /// Ends all threads and ways out. Ports of this process stay connected, to a switch that does nothing for them.
  public func stop() {
    let control = control.withLock { control in
      defer { control = Control() }
      return control
    }
    control.listener?.stop()
    let captures = wiring.write { wiring in
      defer { wiring.captures = [] }
      return wiring.captures
    }
    for capture in captures { capture.capture.stop() }
    for (name, runner) in control.uplinks {
      runner.stop()
      disconnect(name)
    }
  }

  // MARK: What an administrator asks

  public func ports() -> [PortReport] {
    let now = clinux_monotonic()
    return wiring.read { wiring in
      machine.withLock { machine in
        let addresses = machine.addresses(now: now)
        return wiring.slots.enumerated().compactMap { place, slot in
          let port = PortID(rawValue: UInt8(place))
          guard let slot, let settings = machine.settings(of: port), let counters = machine.counters(of: port) else {
            return nil
          }
          return PortReport(
            name: slot.name, port: port, kind: slot.kind, detail: slot.detail, settings: settings,
            isUp: machine.isUp(port), counters: counters, addresses: addresses.filter { $0.port == port })
        }
      }
    }
  }

  /// Changes a port's settings by its name.
  public func set(_ settings: PortSettings, at name: String) throws(SwitchError) {
    try wiring.write { wiring throws(SwitchError) in
      guard let place = wiring.slots.firstIndex(where: { $0?.name == name }) else { throw .noSuchPort(name) }
      try change(wiring) { machine throws(SwitchError) in
        try machine.set(settings, at: PortID(rawValue: UInt8(place)))
      }
    }
  }

  public static let maximumCaptures = 8

  /// Writes what passes the ports with these names (`nil`: all) to a pcapng file, frames that are then dropped included.
  public func startCapture(
    to path: String, ports names: [String]? = nil, snapLength: Int = PacketCapture.defaultSnapLength
  ) throws(SwitchError) {
    for name in names ?? [] where !wiring.read({ $0.slots.contains { $0?.name == name } }) { throw .noSuchPort(name) }
    let captures = wiring.read { $0.captures }
    guard captures.count < Self.maximumCaptures else { throw .captureFailed("\(captures.count) captures run already") }
    guard !captures.contains(where: { $0.capture.path == path }) else {
      throw .captureFailed("a capture to \(path) runs already")
    }
    let capture = PortCapture(try PacketCapture(path, snapLength: snapLength), names.map(Set.init))
    wiring.write { $0.captures.append(capture) }
  }

  /// Ends the capture to `path`. When it returns the file is whole.
  public func stopCapture(_ path: String) throws(SwitchError) -> CaptureReport {
    let capture = wiring.write { wiring in
      let index = wiring.captures.firstIndex { $0.capture.path == path }
      return index.map { wiring.captures.remove(at: $0) }
    }
    guard let capture else { throw .captureFailed("no capture to \(path) runs") }
    return capture.capture.stop()
  }

  public var captures: [CaptureReport] { wiring.read { $0.captures.map(\.capture.report) } }

  // MARK: Frames

  /// Sends a frame on to where it belongs. Every receiver that got something is put into `touched`.
  func send(
    _ frame: FrameView, from port: PortID, _ generation: UInt64, _ touched: inout PortSet, _ fallback: OffloadFallback
  ) -> Bool {
    wiring.read { wiring in
      guard let source = Self.slot(wiring, port, generation) else { return false }
      for capture in wiring.captures { capture.record(frame, at: port, source, .inbound) }
      let now = clinux_monotonic()
      let forwarding = machine.withLock { machine in
        machine.forward(
          unsafe frame.header.bytes, byteCount: frame.byteCount, tag: frame.tag, offloads: frame.offloads, from: port,
          now: now)
      }
      for receiver in forwarding.ports {
        guard let slot = wiring.slots[Int(receiver.rawValue)] else { continue }
        touched.insert(receiver)
        deliver(frame, forwarding, to: slot, at: receiver, fallback, wiring.captures)
      }
      return !forwarding.ports.isEmpty
    }
  }

  private func deliver(
    _ frame: FrameView, _ forwarding: Forwarding, to slot: Slot, at port: PortID, _ fallback: OffloadFallback,
    _ captures: [PortCapture]
  ) {
    let action = forwarding.action(for: port, outOfBand: slot.capabilities.tagsOutOfBand)
    FrameDelivery.apply(action, to: frame) { frame in
      for capture in captures { capture.record(frame, at: port, slot, .outbound) }
      let outcome: DropReason?
      if slot.capabilities.takes(frame.offloads) {
        outcome = slot.sink.accept(frame) ? nil : .noRoom
      } else {
        outcome = fallback.deliver(frame) { slot.sink.accept($0) }
      }
      guard let outcome else { return }
      let byteCount = frame.byteCount + (frame.tag == nil ? 0 : 4)
      machine.withLock { $0.refused(outcome, byteCount: byteCount, at: port) }
    }
  }

  func endBurst(_ touched: inout PortSet) {
    guard !touched.isEmpty else { return }
    wiring.read { wiring in
      for port in touched { wiring.slots[Int(port.rawValue)]?.sink.endBurst() }
    }
    touched = PortSet()
  }
}
