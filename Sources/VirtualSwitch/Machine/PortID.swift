// SPDX-License-Identifier: Apache-2.0

/// A port's place in its switch, 0 to 63. A place that became free is given again.
public struct PortID: RawRepresentable, Hashable, Sendable, Comparable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue & 63 }

  public static func < (left: PortID, right: PortID) -> Bool { left.rawValue < right.rawValue }
}
