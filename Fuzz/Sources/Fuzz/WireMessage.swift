// SPDX-License-Identifier: Apache-2.0

/// A message under construction: little-endian fields one after the other, then, rarely, damage.
struct WireMessage {
  var bytes: [UInt8] = []

  mutating func add<T: FixedWidthInteger>(_ value: T) {
    for shift in stride(from: 0, to: T.bitWidth, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> T(shift))) }
  }

  mutating func add(_ more: [UInt8]) { bytes += more }

  mutating func pad(to count: Int) {
    if bytes.count < count { bytes += [UInt8](repeating: 0, count: count - bytes.count) }
  }

  /// One time in sixteen: cut short, made longer, or a byte changed.
  mutating func damage(_ script: inout Script) {
    guard script.oneIn(16) else { return }
    switch script.choice(3) {
    case 0: bytes.removeLast(min(bytes.count, 1 + script.choice(64)))
    case 1: bytes += [UInt8](repeating: script.byte(), count: script.choice(256))
    default:
      guard !bytes.isEmpty else { return }
      bytes[Int(script.word16()) % bytes.count] = script.byte()
    }
  }
}
