// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// Data that a unit sends, built in place. The caller keeps one per thread; it is cleared by `begin`.
///
/// The longest is a DVD's physical format, 2052 bytes.
public struct SCSIResponse: Sendable {
  public static let capacity = 2052
  var storage = InlineArray<2052, UInt8>(repeating: 0)
  public private(set) var byteCount = 0

  public init() {}

  public var bytes: RawSpan {
    @_lifetime(borrow self) get { unsafe storage.span.bytes.extracting(first: byteCount) }
  }

  mutating func clear() { byteCount = 0 }

  mutating func append(_ byte: UInt8) {
    guard byteCount < Self.capacity else { return }
    storage[byteCount] = byte
    byteCount += 1
  }

  /// Big-endian, as everything in SCSI.
  mutating func append(_ value: UInt16) {
    append(UInt8(truncatingIfNeeded: value >> 8))
    append(UInt8(truncatingIfNeeded: value))
  }

  mutating func append(_ value: UInt32) {
    append(UInt16(truncatingIfNeeded: value >> 16))
    append(UInt16(truncatingIfNeeded: value))
  }

  mutating func append(_ value: UInt64) {
    append(UInt32(truncatingIfNeeded: value >> 32))
    append(UInt32(truncatingIfNeeded: value))
  }

  mutating func append(bytes: [UInt8]) { for byte in bytes { append(byte) } }
  mutating func append(zeros count: Int) { for _ in 0..<count { append(0 as UInt8) } }

  /// Printable ASCII, filled up with blanks to `count` bytes or cut there.
  mutating func append(_ text: String, count: Int) {
    var left = count
    for byte in text.utf8.prefix(count) {
      append(byte >= 0x20 && byte < 0x7F ? byte : 0x20)
      left -= 1
    }
    for _ in 0..<left { append(0x20 as UInt8) }
  }

  mutating func append(_ sense: SenseData) {
    append(sense.low.byteSwapped)
    if sense.byteCount > 8 { append(sense.high.byteSwapped) }
    let last = sense.last.byteSwapped
    for index in 0..<UInt32(max(0, sense.byteCount - 16)) {
      append(UInt8(truncatingIfNeeded: last >> (24 - 8 * index)))
    }
  }

  subscript(index: Int) -> UInt8 {
    get { storage[index] }
    set { storage[index] = newValue }
  }

  /// Fills a length field of two bytes with what follows it.
  mutating func setLength16(at index: Int) {
    let count = byteCount - index - 2
    storage[index] = UInt8(truncatingIfNeeded: count >> 8)
    storage[index + 1] = UInt8(truncatingIfNeeded: count)
  }

  /// The end of a command that sends data: as much as was asked for and as the buffer has room for.
  func sent(allocation: Int, _ command: SCSICommand) -> SCSIStep {
    .complete(.good(byteCount: min(UInt32(min(byteCount, allocation)), command.bufferByteCount)))
  }
}

extension SCSIStep {
  static func check(_ key: SenseKey, _ additional: AdditionalSense, information: UInt64? = nil) -> Self {
    .complete(.check(key, additional, information: information))
  }

  static var good: Self { .complete(.good()) }
  static var invalidField: Self { check(.illegalRequest, .invalidFieldInCommand) }
  static var invalidOperation: Self { check(.illegalRequest, .invalidOperation) }
}
