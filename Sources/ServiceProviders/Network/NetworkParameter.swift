// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// A parameter that a guest sets by name: offset and length of the name, type, offset and length of the value, each u32;
/// then name and value in UTF-16. Offsets count from the structure's start.
struct NetworkParameter: Hashable, Sendable {
  var name: String
  /// nil: a number.
  var text: String?

  private static let maximumBytes: UInt32 = 512

  init(decoding bytes: RawSpan) throws(WireError) {
    name = try Self.text(offsetAt: 0, countAt: 4, in: bytes)
    switch try bytes.read(UInt32.self, at: 8) {
    case 0: _ = try Self.place(offsetAt: 12, countAt: 16, in: bytes)
    case 2: text = try Self.text(offsetAt: 12, countAt: 16, in: bytes)
    default: throw .invalid(offset: 8)
    }
  }

  @_lifetime(copy bytes)
  private static func place(offsetAt: Int, countAt: Int, in bytes: RawSpan) throws(WireError) -> RawSpan {
    let offset = try bytes.read(UInt32.self, at: offsetAt)
    let count = try bytes.read(UInt32.self, at: countAt)
    guard count <= maximumBytes else { throw .invalid(offset: countAt) }
    return try bytes.slice(at: Int(offset), count: Int(count))
  }

  /// Up to a zero, if there is one; it need not be terminated.
  private static func text(offsetAt: Int, countAt: Int, in bytes: RawSpan) throws(WireError) -> String {
    let place = try place(offsetAt: offsetAt, countAt: countAt, in: bytes)
    guard place.byteCount % 2 == 0 else { throw .invalid(offset: countAt) }
    var units: [UInt16] = []
    for index in 0..<place.byteCount / 2 {
      let unit = try place.read(UInt16.self, at: index * 2)
      if unit == 0 { break }
      units.append(unit)
    }
    guard let text = String(validating: units, as: UTF16.self) else { throw .invalid(offset: offsetAt) }
    return text
  }

  /// Twelve hexadecimal digits, nothing else.
  var address: EthernetAddress? {
    guard let text, text.utf8.count == 12, text.utf8.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
      let value = UInt64(text, radix: 16)
    else { return nil }
    return EthernetAddress(rawValue: value)
  }
}
