// SPDX-License-Identifier: Apache-2.0

import VMBus

extension GUID {
  static let zero = GUID(low: 0, high: 0)

  /// A new one, version 4.
  static func random() -> GUID {
    GUID(
      low: UInt64.random(in: 0 ... .max) & ~(0xF << 60) | 4 << 60,
      high: UInt64.random(in: 0 ... .max) & ~0xC0 | 0x80)
  }

  /// `{83ed0ec3-24c8-49a6-a959-5e4bd1288791}`
  public var bracedText: String { "{\(plainText)}" }

  /// `83ed0ec3-24c8-49a6-a959-5e4bd1288791`
  public var plainText: String {
    let tail = high.byteSwapped
    return [
      Self.hex(low & 0xFFFF_FFFF, 8), Self.hex(low >> 32 & 0xFFFF, 4), Self.hex(low >> 48, 4),
      Self.hex(tail >> 48, 4), Self.hex(tail & 0xFFFF_FFFF_FFFF, 12),
    ].joined(separator: "-")
  }

  private static func hex(_ value: UInt64, _ digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }

  /// From either text form, in any case; nil for anything else.
  public init?(text: String) {
    var text = text[...]
    if text.first == "{" {
      guard text.last == "}" else { return nil }
      text = text.dropFirst().dropLast()
    }
    let groups = text.split(separator: "-", omittingEmptySubsequences: false)
    guard groups.map(\.utf8.count) == [8, 4, 4, 4, 12] else { return nil }
    var values: [UInt64] = []
    for group in groups {
      guard group.allSatisfy(\.isHexDigit), let value = UInt64(group, radix: 16) else { return nil }
      values.append(value)
    }
    self.init(UInt32(values[0]), UInt16(values[1]), UInt16(values[2]), UInt16(values[3]), values[4])
  }
}
