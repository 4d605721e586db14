// SPDX-License-Identifier: Apache-2.0

/// Ports of one switch, ascending.
public struct PortSet: Hashable, Sendable, Sequence {
  public private(set) var rawValue: UInt64

  public init(rawValue: UInt64 = 0) { self.rawValue = rawValue }

  public var isEmpty: Bool { rawValue == 0 }
  public var count: Int { rawValue.nonzeroBitCount }
  public func contains(_ port: PortID) -> Bool { rawValue & Self.bit(port) != 0 }
  public mutating func insert(_ port: PortID) { rawValue |= Self.bit(port) }
  public mutating func remove(_ port: PortID) { rawValue &= ~Self.bit(port) }
  public mutating func formUnion(_ other: PortSet) { rawValue |= other.rawValue }

  private static func bit(_ port: PortID) -> UInt64 { 1 << UInt64(port.rawValue) }

  public struct Iterator: IteratorProtocol {
    var rest: UInt64
    public mutating func next() -> PortID? {
      guard rest != 0 else { return nil }
      let port = PortID(rawValue: UInt8(rest.trailingZeroBitCount))
      rest &= rest &- 1
      return port
    }
  }
  public func makeIterator() -> Iterator { Iterator(rest: rawValue) }
}
