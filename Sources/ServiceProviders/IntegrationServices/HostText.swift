// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// UTF-16 fields of a packet against Swift's strings.
enum HostText {
  /// The text of at most `byteCount` bytes at `offset`, up to the first NUL. Lone surrogates become U+FFFD.
  static func read(_ bytes: RawSpan, at offset: Int, byteCount: Int) throws(WireError) -> String {
    let text = try bytes.slice(at: offset, count: byteCount)
    var units: [UInt16] = []
    units.reserveCapacity(byteCount / 2)
    var position = 0
    while position + 2 <= byteCount {
      let unit = try text.read(UInt16.self, at: position)
      if unit == 0 { break }
      units.append(unit)
      position += 2
    }
    return String(decoding: units, as: UTF16.self)
  }

  /// Writes the text without a terminator: the field behind it is zero already.
  @_lifetime(bytes: copy bytes)
  static func write(_ text: String, to bytes: inout MutableRawSpan, at offset: Int) throws(WireError) {
    var position = offset
    for unit in text.utf16 {
      try bytes.write(unit, at: position)
      position += 2
    }
  }
}
