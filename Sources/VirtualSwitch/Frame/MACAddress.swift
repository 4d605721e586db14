// SPDX-License-Identifier: Apache-2.0

/// An Ethernet address, its first byte on the wire in bits 40…47.
public struct MACAddress: Hashable, Sendable, Comparable, CustomStringConvertible {
  public let rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue & 0xffff_ffff_ffff }

  public static let zero = MACAddress(rawValue: 0)
  public static let broadcast = MACAddress(rawValue: .max)

  /// `00:15:5d:01:02:03`; hyphens and no separators at all are taken as well, as Hyper-V's tools print both.
  public init?(_ text: String) {
    var digits: [UInt8] = []
    var separator: UInt8?
    for (index, byte) in text.utf8.enumerated() {
      switch byte {
      case 0x30...0x39: digits.append(byte - 0x30)
      case 0x41...0x46: digits.append(byte - 0x41 + 10)
      case 0x61...0x66: digits.append(byte - 0x61 + 10)
      case 0x2d, 0x3a:
        guard index % 3 == 2, separator == nil || separator == byte else { return nil }
        separator = byte
      default: return nil
      }
      guard digits.count <= 12 else { return nil }
    }
    guard digits.count == 12, separator == nil || text.utf8.count == 17 else { return nil }
    self.init(rawValue: digits.reduce(0) { $0 << 4 | UInt64($1) })
  }

  /// The group bit, also of the broadcast address.
  public var isMulticast: Bool { rawValue & 0x0100_0000_0000 != 0 }
  /// What one adapter may have.
  public var isUsable: Bool { !isMulticast && self != .zero }
  /// 01:80:C2:00:00:00 to 0F: what bridges keep to themselves (802.1Q, table 8-1).
  var isLinkLocal: Bool { rawValue & ~0xf == 0x0180_c200_0000 }

  public static func < (left: MACAddress, right: MACAddress) -> Bool { left.rawValue < right.rawValue }

  public var description: String {
    var text = ""
    for shift in stride(from: 40, through: 0, by: -8) {
      let byte = (rawValue >> UInt64(shift)) & 0xff
      if !text.isEmpty { text += ":" }
      text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return text
  }
}
