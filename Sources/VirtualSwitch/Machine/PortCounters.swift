// SPDX-License-Identifier: Apache-2.0

/// A port's counters, as the switch sees it: received is what came in here.
public struct PortCounters: Sendable {
  public internal(set) var receivedFrames: UInt64 = 0
  public internal(set) var receivedBytes: UInt64 = 0
  public internal(set) var sentFrames: UInt64 = 0
  public internal(set) var sentBytes: UInt64 = 0
  private var drops: InlineArray<13, UInt64> = InlineArray(repeating: 0)

  public init() {}

  public func dropped(_ reason: DropReason) -> UInt64 { drops[Int(reason.rawValue)] }
  public var droppedFrames: UInt64 { drops.indices.reduce(0) { $0 &+ drops[$1] } }
  mutating func drop(_ reason: DropReason) { drops[Int(reason.rawValue)] &+= 1 }

  mutating func add(_ other: PortCounters) {
    receivedFrames &+= other.receivedFrames
    receivedBytes &+= other.receivedBytes
    sentFrames &+= other.sentFrames
    sentBytes &+= other.sentBytes
    for index in drops.indices { drops[index] &+= other.drops[index] }
  }
}
