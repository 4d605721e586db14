// SPDX-License-Identifier: Apache-2.0

/// A builder of ACPI Machine Language: the few terms that describe devices without code (ACPI 6.4, chapter 20).
enum AML {
  /// A name of one segment, or an absolute one with a leading backslash and one segment.
  static func name(_ text: String) -> [UInt8] {
    var bytes = Array(text.utf8)
    let root = bytes.first == 0x5C
    if root { bytes.removeFirst() }
    precondition(bytes.count <= 4, "an ACPI name segment has four characters")
    bytes += [UInt8](repeating: 0x5F, count: 4 - bytes.count)
    return (root ? [0x5C] : []) + bytes
  }

  /// The shortest encoding of an integer.
  static func integer(_ value: UInt64) -> [UInt8] {
    switch value {
    case 0: [0x00]
    case 1: [0x01]
    case 2...0xFF: [0x0A] + little(UInt8(value))
    case 0x100...0xFFFF: [0x0B] + little(UInt16(value))
    case 0x1_0000...0xFFFF_FFFF: [0x0C] + little(UInt32(value))
    default: [0x0E] + little(value)
    }
  }

  static func string(_ text: String) -> [UInt8] { [0x0D] + Array(text.utf8) + [0] }

  /// A hardware id such as "PNP0501", packed into a number as EISA did.
  static func eisaID(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    precondition(bytes.count == 7, "an EISA id has three letters and four digits")
    func letter(_ index: Int) -> UInt32 { UInt32(bytes[index]) & 0x1F }
    let product = UInt32(String(text.dropFirst(3)), radix: 16) ?? 0
    let packed = letter(0) << 26 | letter(1) << 21 | letter(2) << 16 | product
    return [0x0C] + little(packed.byteSwapped)
  }

  static func define(_ name: String, _ value: [UInt8]) -> [UInt8] { [0x08] + Self.name(name) + value }
  static func package(_ elements: [[UInt8]]) -> [UInt8] {
    [0x12] + sized([UInt8(elements.count)] + elements.flatMap(\.self))
  }
  static func scope(_ name: String, _ terms: [[UInt8]]) -> [UInt8] {
    [0x10] + sized(Self.name(name) + terms.flatMap(\.self))
  }
  static func device(_ name: String, _ terms: [[UInt8]]) -> [UInt8] {
    [0x5B, 0x82] + sized(Self.name(name) + terms.flatMap(\.self))
  }

  /// Resource descriptors, ended by an end tag without checksum.
  static func resources(_ descriptors: [[UInt8]]) -> [UInt8] {
    let bytes = descriptors.flatMap(\.self) + [0x79, 0x00]
    return [0x11] + sized(integer(UInt64(bytes.count)) + bytes)
  }

  /// `count` I/O ports from `base` on, 16 address lines decoded.
  static func ports(_ base: UInt16, count: UInt8) -> [UInt8] {
    [0x47, 0x01] + little(base) + little(base) + [0x01, count]
  }
  /// A window of I/O ports that a bus hands out.
  static func portWindow(_ ports: ClosedRange<UInt16>) -> [UInt8] {
    // Resource type 1, fixed at both ends, the whole range.
    [0x88] + little(UInt16(13)) + [0x01, 0x0C, 0x03] + little(UInt16(0)) + little(ports.lowerBound)
      + little(ports.upperBound) + little(UInt16(0)) + little(ports.upperBound - ports.lowerBound + 1)
  }
  /// The numbers of a root bus and those below it.
  static func buses(_ numbers: ClosedRange<UInt16>) -> [UInt8] {
    [0x88] + little(UInt16(13)) + [0x02, 0x0C, 0x00] + little(UInt16(0)) + little(numbers.lowerBound)
      + little(numbers.upperBound) + little(UInt16(0)) + little(numbers.upperBound - numbers.lowerBound + 1)
  }
  /// An ISA interrupt: edge-triggered, active high.
  static func interrupt(_ number: UInt32) -> [UInt8] { [0x22] + little(UInt16(1) << UInt16(number)) }
  /// A window of memory addresses below 4 GiB that a bus hands out.
  static func window32(_ base: UInt32, count: UInt32) -> [UInt8] {
    [0x87] + little(UInt16(23)) + [0x00, 0x0C, 0x01] + little(UInt32(0)) + little(base) + little(base + (count - 1))
      + little(UInt32(0)) + little(count)
  }
  /// The same with 64-bit addresses.
  static func window64(_ base: UInt64, count: UInt64) -> [UInt8] {
    [0x8A] + little(UInt16(43)) + [0x00, 0x0C, 0x01] + little(UInt64(0)) + little(base) + little(base + (count - 1))
      + little(UInt64(0)) + little(count)
  }

  /// A package length (which counts itself) before its contents.
  static func sized(_ contents: [UInt8]) -> [UInt8] {
    let count = contents.count
    if count + 1 < 0x40 { return [UInt8(count + 1)] + contents }
    // Lead byte: number of further bytes in bits 6–7, the length's low four bits; then eight bits each.
    let further = count + 2 < 0x1000 ? 1 : count + 3 < 0x10_0000 ? 2 : 3
    let length = count + 1 + further
    var bytes = [UInt8(further << 6 | length & 0xF)]
    for byte in 0..<further { bytes.append(UInt8(truncatingIfNeeded: length >> (4 + 8 * byte))) }
    return bytes + contents
  }

  static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
  }
}
