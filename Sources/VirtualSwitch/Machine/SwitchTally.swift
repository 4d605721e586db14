// SPDX-License-Identifier: Apache-2.0

/// What frames are counted in. Several of them add up to a switch's counters: who sends has one of its own.
struct SwitchTally: Sendable {
  private(set) var ports = [PortCounters](repeating: PortCounters(), count: Switch.maximumPorts)
  /// Addresses that found no room in the table.
  var unlearned: UInt64 = 0

  subscript(_ port: PortID) -> PortCounters {
    get { ports[Int(port.rawValue)] }
    _modify { yield &ports[Int(port.rawValue)] }
  }

  /// The receiver at `port` could not take a frame that was sent there. `byteCount` as it would have left.
  mutating func refused(_ reason: DropReason, byteCount: Int, at port: PortID) {
    self[port].sentFrames &-= 1
    self[port].sentBytes &-= UInt64(max(0, byteCount))
    self[port].drop(reason)
  }

  /// The port is another one's from now on.
  mutating func forget(_ port: PortID) { self[port] = PortCounters() }

  mutating func add(_ other: SwitchTally) {
    for place in ports.indices { ports[place].add(other.ports[place]) }
    unlearned &+= other.unlearned
  }
}
