// SPDX-License-Identifier: Apache-2.0

/// An Ethernet switch with VLANs: which frame may go where, with which tag. A value: no I/O, no clock, no lock, and no
/// allocation for a frame. It sees a copy of a frame's first bytes and never the frame itself.
///
/// For one thread. `SwitchEngine` has the same parts, but a tally for each sender.
public struct Switch: Sendable {
  public static let maximumPorts = 64
  /// How many first bytes of a frame it looks at, at most. What the guards need of usual frames.
  public static let headerBytes = 128
  /// A segmented frame of 64 KiB, its Ethernet header and two tags.
  public static let maximumFrame = 65_535 + 22

  private var ports = SwitchPorts()
  private var table: MACTable
  private var tally = SwitchTally()

  /// Times are nanoseconds of one clock that does not run backwards; `seed` should be hard to guess.
  public init(
    addresses: Int = 4096, addressesPerPort: Int = 2048, lifetime: UInt64 = 300_000_000_000, seed: UInt64
  ) {
    table = MACTable(capacity: addresses, perPort: addressesPerPort, lifetime: lifetime, seed: seed)
  }

  // MARK: Ports

  public mutating func connect(_ settings: PortSettings) throws(SwitchError) -> PortID {
    let port = try ports.connect(settings)
    tally.forget(port)
    return port
  }

  public mutating func disconnect(_ port: PortID) {
    ports.disconnect(port)
    table.forget(port)
  }

  /// What was learned at the port is forgotten.
  public mutating func set(_ settings: PortSettings, at port: PortID) throws(SwitchError) {
    try ports.set(settings, at: port)
    table.forget(port)
  }

  /// A port whose link is down gets nothing.
  public mutating func setLink(up: Bool, at port: PortID) {
    ports.setLink(up: up, at: port)
    if !up { table.forget(port) }
  }

  public func settings(of port: PortID) -> PortSettings? { ports.settings(of: port) }
  public func isUp(_ port: PortID) -> Bool { ports.isUp(port) }
  public func counters(of port: PortID) -> PortCounters? { ports.settings(of: port).map { _ in tally[port] } }
  public func addresses(now: UInt64) -> [LearnedAddress] { table.all(now: now) }
  public var addressCount: Int { table.count }
  public var addressCapacity: Int { table.capacity }
  /// Addresses that found no room in the table.
  public var unlearned: UInt64 { tally.unlearned }
  var connected: PortSet { ports.connected }

  /// Gives room of old addresses free; lookups ignore them anyway.
  public mutating func forgetOld(now: UInt64) { table.forgetOld(now: now) }

  // MARK: Frames

  /// Judges a frame that came in at `source`. `header` holds its first bytes (all of a shorter frame; `headerBytes` or
  /// more of a longer one, for the guards), `byteCount` all of its bytes, `tag` what came beside it.
  public mutating func forward(
    _ header: RawSpan, byteCount: Int, tag: VLANTag? = nil, offloads: FrameOffloads = .none, from source: PortID,
    now: UInt64
  ) -> Forwarding {
    ports.judge(
      header, byteCount: byteCount, tag: tag, offloads: offloads, from: source, now: now, &table, &tally)
  }

  /// The receiver at `port` could not take a frame that `forward` sent there. `byteCount` as it would have left.
  public mutating func refused(_ reason: DropReason, byteCount: Int, at port: PortID) {
    tally.refused(reason, byteCount: byteCount, at: port)
  }

  // MARK: Invariants

  /// What holds between any two calls; for tests and the fuzzer.
  public func checkInvariants() -> Bool {
    let counts = (0..<UInt8(Self.maximumPorts)).map {
      (port: PortID(rawValue: $0), of: table.count(of: PortID(rawValue: $0)))
    }
    let count = counts.reduce(0) { $0 + $1.of }
    return ports.checkInvariants() && counts.allSatisfy { $0.of == 0 || ports.connected.contains($0.port) }
      && count == table.count && count <= table.capacity && table.all(now: 0).count == count
  }
}
