// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization

/// A switch that runs: ports come and go, frames pass on the threads of those that send. All of it may be called from any
/// thread.
///
/// Locks: `control` (one change of ports at a time), then `wiring` (who is at a port, and what is said of it; each sender
/// has a lock of its own for that), then the table of addresses or a sink's own.
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

  /// Not copyable, so that no frame's way makes one: that would count references, in memory that all senders share.
  struct Wiring: ~Copyable {
    var slots = SlotTable()
    var captures: [PortCapture] = []
    var ports = SwitchPorts()
    /// What senders that are gone have counted.
    var past = SwitchTally()
  }

  /// What each sender has of its own.
  struct SenderState {
    var tally = SwitchTally()
    var book: SenderBook
    /// Who got something since the last flush.
    var touched = PortSet()
    /// The time of the burst.
    var now: UInt64 = 0
    var left = 0
  }
  typealias Senders = ReaderLocked<Wiring, SenderState>

  public let name: String
  private let wiring = Senders(Wiring()) { $0.past.add($1.tally) }
  private let addresses: AddressTable
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
    addresses = AddressTable(seed: seed)
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
    let port = try wiring.write { wiring, senders throws(SwitchError) in
      guard wiring.slots.port(named: name) == nil else { throw .nameTaken(name) }
      let port = try Self.change(&wiring) { ports throws(SwitchError) in try ports.connect(settings) }
      wiring.past.forget(port)
      senders.forEach { $0.tally.forget(port) }
      wiring.slots[port] = Slot(
        name: name, kind: kind, detail: detail, generation: generation, sink: sink, capabilities: capabilities)
      return port
    }
    return EnginePort(name: name, port: port, generation: generation, engine: self)
  }

  /// An error that names a port gets its name: the ports know numbers only.
  private static func change<Result>(
    _ wiring: inout Wiring, _ body: (inout SwitchPorts) throws(SwitchError) -> Result
  ) throws(SwitchError) -> Result {
    do throws(SwitchError) {
      return try body(&wiring.ports)
    } catch {
      guard case .addressTaken(let address, _) = error else { throw error }
      guard let owner = wiring.ports.owner(of: address), let slot = wiring.slots[owner] else { throw error }
      throw .addressTaken(address, by: slot.name)
    }
  }

  /// The slot's port, while it is the same one.
  private static func slot(_ wiring: borrowing Wiring, _ port: PortID, _ generation: UInt64) -> Slot? {
    guard let slot = wiring.slots[port], slot.generation == generation else { return nil }
    return slot
  }

  func disconnect(_ port: PortID, _ generation: UInt64) {
    wiring.write { wiring, _ in
      guard Self.slot(wiring, port, generation) != nil else { return }
      disconnect(port, &wiring)
    }
  }

  private func disconnect(_ port: PortID, _ wiring: inout Wiring) {
    wiring.slots[port] = nil
    wiring.ports.disconnect(port)
    addresses.withLock { $0.forget(port) }
  }

  func set(_ settings: PortSettings, at port: PortID, _ generation: UInt64) throws(SwitchError) {
    try wiring.write { wiring, _ throws(SwitchError) in
      guard Self.slot(wiring, port, generation) != nil else { throw .closed }
      try set(settings, at: port, &wiring)
    }
  }

  /// What was learned at the port is forgotten.
  private func set(_ settings: PortSettings, at port: PortID, _ wiring: inout Wiring) throws(SwitchError) {
    try Self.change(&wiring) { ports throws(SwitchError) in try ports.set(settings, at: port) }
    addresses.withLock { $0.forget(port) }
  }

  func set(_ capabilities: PortCapabilities, at port: PortID, _ generation: UInt64) {
    wiring.write { wiring, _ in
      guard let old = Self.slot(wiring, port, generation) else { return }
      wiring.slots[port] = Slot(
        name: old.name, kind: old.kind, detail: old.detail, generation: generation, sink: old.sink,
        capabilities: capabilities)
    }
  }

  func setLink(up: Bool, at port: PortID, _ generation: UInt64) {
    wiring.write { wiring, _ in
      guard Self.slot(wiring, port, generation) != nil else { return }
      wiring.ports.setLink(up: up, at: port)
      if !up { addresses.withLock { $0.forget(port) } }
    }
  }

  func isUp(_ port: PortID, _ generation: UInt64) -> Bool {
    wiring.read { wiring in Self.slot(wiring, port, generation) != nil && wiring.ports.isUp(port) }
  }

  func settings(of port: PortID, _ generation: UInt64) -> PortSettings? {
    wiring.read { wiring in
      Self.slot(wiring, port, generation) == nil ? nil : wiring.ports.settings(of: port)
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
    wiring.write { wiring, _ in
      if let port = wiring.slots.port(named: name) { disconnect(port, &wiring) }
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
    let captures = wiring.write { wiring, _ in
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
    // Senders wait meanwhile: what they have counted is theirs.
    return wiring.write { wiring, senders in
      var tally = wiring.past
      senders.forEach { tally.add($0.tally) }
      let addresses = addresses.withLock { $0.all(now: now) }
      var reports: [PortReport] = []
      for (port, slot) in wiring.slots.all {
        guard let slot, let settings = wiring.ports.settings(of: port) else { continue }
        reports.append(
          PortReport(
            name: slot.name, port: port, kind: slot.kind, detail: slot.detail, settings: settings,
            isUp: wiring.ports.isUp(port), counters: tally[port], addresses: addresses.filter { $0.port == port }))
      }
      return reports
    }
  }

  /// Changes a port's settings by its name.
  public func set(_ settings: PortSettings, at name: String) throws(SwitchError) {
    try wiring.write { wiring, _ throws(SwitchError) in
      guard let port = wiring.slots.port(named: name) else { throw .noSuchPort(name) }
      try set(settings, at: port, &wiring)
    }
  }

  /// What holds between any two calls; for tests.
  func checkInvariants() -> Bool {
    wiring.write { wiring, _ in
      let counts = addresses.withLock { table in
        (0..<UInt8(Switch.maximumPorts)).map { table.count(of: PortID(rawValue: $0)) }
      }
      var holds = wiring.ports.checkInvariants()
      for (port, slot) in wiring.slots.all {
        let isConnected = wiring.ports.connected.contains(port)
        holds = holds && (slot != nil) == isConnected && (isConnected || counts[Int(port.rawValue)] == 0)
      }
      return holds
    }
  }

  public static let maximumCaptures = 8

  /// Writes what passes the ports with these names (`nil`: all) to a pcapng file, frames that are then dropped included.
  public func startCapture(
    to path: String, ports names: [String]? = nil, snapLength: Int = PacketCapture.defaultSnapLength
  ) throws(SwitchError) {
    for name in names ?? [] where wiring.read({ $0.slots.port(named: name) == nil }) { throw .noSuchPort(name) }
    let captures = wiring.read { $0.captures }
    guard captures.count < Self.maximumCaptures else { throw .captureFailed("\(captures.count) captures run already") }
    guard !captures.contains(where: { $0.capture.path == path }) else {
      throw .captureFailed("a capture to \(path) runs already")
    }
    let capture = PortCapture(try PacketCapture(path, snapLength: snapLength), names.map(Set.init))
    wiring.write { wiring, _ in wiring.captures.append(capture) }
  }

  /// Ends the capture to `path`. When it returns the file is whole.
  public func stopCapture(_ path: String) throws(SwitchError) -> CaptureReport {
    let capture = wiring.write { wiring, _ in
      let index = wiring.captures.firstIndex { $0.capture.path == path }
      return index.map { wiring.captures.remove(at: $0) }
    }
    guard let capture else { throw .captureFailed("no capture to \(path) runs") }
    return capture.capture.stop()
  }

  public var captures: [CaptureReport] { wiring.read { $0.captures.map(\.capture.report) } }

  // MARK: Frames

  func makeSender() -> Senders.Reader { wiring.makeReader(SenderState(book: SenderBook(addresses))) }

  /// Sends a frame on to where it belongs.
  func send(
    _ frame: FrameView, from port: PortID, _ generation: UInt64, by sender: Senders.Reader, _ fallback: OffloadFallback
  ) -> Bool {
    wiring.read(sender) { wiring, state in
      guard let source = wiring.slots.lend(port), source.generation == generation else { return false }
      for capture in wiring.captures { capture.record(frame, at: port, source.kept, .inbound) }
      if state.left == 0 { state.now = clinux_monotonic() }
      state.left = (state.left &+ 1) % Self.framesPerLook
      let forwarding = wiring.ports.judge(
        unsafe frame.header.bytes, byteCount: frame.byteCount, tag: frame.tag, offloads: frame.offloads, from: port,
        now: state.now, &state.book, &state.tally)
      for receiver in forwarding.ports {
        guard let slot = wiring.slots.lend(receiver) else { continue }
        state.touched.insert(receiver)
        deliver(frame, forwarding, to: slot, at: receiver, sender.number, fallback, wiring.captures, &state.tally)
      }
      return !forwarding.ports.isEmpty
    }
  }

  /// So many frames are judged by one look at the clock.
  private static let framesPerLook = 64

  private func deliver(
    _ frame: FrameView, _ forwarding: Forwarding, to slot: SlotTable.Lent, at port: PortID, _ sender: Int,
    _ fallback: OffloadFallback, _ captures: [PortCapture], _ tally: inout SwitchTally
  ) {
    let action = forwarding.action(for: port, outOfBand: slot.capabilities.tagsOutOfBand)
    FrameDelivery.apply(action, to: frame) { frame in
      for capture in captures { capture.record(frame, at: port, slot.kept, .outbound) }
      let outcome: DropReason?
      if slot.capabilities.takes(frame.offloads) {
        outcome = slot.accept(frame, from: sender) ? nil : .noRoom
      } else {
        outcome = fallback.deliver(frame) { slot.accept($0, from: sender) }
      }
      guard let outcome else { return }
      tally.refused(outcome, byteCount: frame.byteCount + (frame.tag == nil ? 0 : 4), at: port)
    }
  }

  func endBurst(by sender: Senders.Reader) {
    wiring.read(sender) { wiring, state in
      for port in state.touched { wiring.slots.lend(port)?.endBurst(from: sender.number) }
      state.touched = PortSet()
      state.left = 0
    }
  }
}
