// SPDX-License-Identifier: Apache-2.0

/// The unique id of a VHD: 16 bytes, written big-endian like everything in this format, and so in the order of its text.
public struct VHDIdentifier: Hashable, Sendable, CustomStringConvertible {
  public var high: UInt64
  public var low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  public static let none = VHDIdentifier(high: 0, low: 0)

  /// A new random one (RFC 9562, version 4).
  public static func random() -> VHDIdentifier {
    var generator = SystemRandomNumberGenerator()
    let high: UInt64 = generator.next()
    let low: UInt64 = generator.next()
    return VHDIdentifier(high: high & ~0xf000 | 0x4000, low: low & ~(3 << 62) | 2 << 62)
  }

  public var description: String {
    func hex(_ value: UInt64, _ digits: Int) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    return "\(hex(high >> 32, 8))-\(hex(high >> 16 & 0xffff, 4))-\(hex(high & 0xffff, 4))-\(hex(low >> 48, 4))-"
      + hex(low & 0xffff_ffff_ffff, 12)
  }
}
