// SPDX-License-Identifier: Apache-2.0

/// A VLAN's number, 1 to 4094. 0 stands for the network without a VLAN; 4095 is reserved and nobody's.
public struct VLANID: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible {
  public let rawValue: UInt16

  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// A number that a user gave: `nil` outside 1…4094.
  public init?(_ number: Int) {
    guard (1...4094).contains(number) else { return nil }
    rawValue = UInt16(number)
  }

  public static let none = VLANID(rawValue: 0)
  static let reserved = VLANID(rawValue: 4095)

  public static func < (left: VLANID, right: VLANID) -> Bool { left.rawValue < right.rawValue }
  public var description: String { "\(rawValue)" }
}
