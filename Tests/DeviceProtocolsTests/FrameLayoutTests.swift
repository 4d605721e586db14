// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@testable import DeviceProtocols

@Suite struct FrameLayoutTests {
  /// Microsoft's "Verifying the RSS hash calculation": destination and source with ports, hash of addresses, hash with TCP
  /// ports.
  static let ipv4: [(String, UInt16, String, UInt16, UInt32, UInt32)] = [
    ("161.142.100.80", 1766, "66.9.149.187", 2794, 0x323E_8FC2, 0x51CC_C178),
    ("65.69.140.83", 4739, "199.92.111.2", 14230, 0xD718_262A, 0xC626_B0EA),
    ("12.22.207.184", 38024, "24.19.198.95", 12898, 0xD2D0_A5DE, 0x5C2B_394A),
    ("209.142.163.6", 2217, "38.27.205.30", 48228, 0x8298_9176, 0xAFC7_327F),
    ("202.188.127.2", 1303, "153.39.163.191", 44251, 0x5D18_09C5, 0x10E8_28A2),
  ]
  static let ipv6: [([UInt16], UInt16, [UInt16], UInt16, UInt32, UInt32)] = [
    (
      [0x3ffe, 0x2501, 0x200, 3, 0, 0, 0, 1], 1766, [0x3ffe, 0x2501, 0x200, 0x1fff, 0, 0, 0, 7], 2794, 0x2CC1_8CD5,
      0x4020_7D3D
    ),
    (
      [0xff02, 0, 0, 0, 0, 0, 0, 1], 4739, [0x3ffe, 0x501, 8, 0, 0x260, 0x97ff, 0xfe40, 0xefab], 14230, 0x0F0C_461C,
      0xDDE5_1BBF
    ),
    (
      [0xfe80, 0, 0, 0, 0x200, 0xf8ff, 0xfe21, 0x67cf], 38024,
      [0x3ffe, 0x1900, 0x4545, 3, 0x200, 0xf8ff, 0xfe21, 0x67cf], 44251, 0x4B61_E985, 0x02D1_FEEF
    ),
  ]
  static let key: [UInt8] = [
    0x6D, 0x5A, 0x56, 0xDA, 0x25, 0x5B, 0x0E, 0xC2, 0x41, 0x67, 0x25, 0x3D, 0x43, 0xA3, 0x8F, 0xB0, 0xD0, 0xCA, 0x2B,
    0xCB, 0xAE, 0x7B, 0x30, 0xB4, 0x77, 0xCB, 0x2D, 0xA3, 0x80, 0x30, 0xF2, 0x0C, 0x6A, 0x42, 0xB7, 0x3B, 0xBE, 0xAC,
    0x01, 0xFA,
  ]

  private func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }

  private func frame4(_ source: String, _ destination: String, _ transport: UInt8, _ rest: [UInt8]) -> [UInt8] {
    func address(_ text: String) -> [UInt8] { text.split(separator: ".").compactMap { UInt8($0) } }
    return [UInt8](repeating: 2, count: 12) + [0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, transport, 0, 0]
      + address(source) + address(destination) + rest
  }

  private func frame6(_ source: [UInt16], _ destination: [UInt16], _ next: UInt8, _ rest: [UInt8]) -> [UInt8] {
    [UInt8](repeating: 2, count: 12) + [0x86, 0xDD, 0x60, 0, 0, 0, 0, 20, next, 64] + source.flatMap(big)
      + destination.flatMap(big) + rest
  }

  @Test func hashesAreMicrosofts() throws {
    let key = try ToeplitzKey(decoding: Self.key.wire)
    let addresses = ReceiveHash(rawValue: 0x501)
    for (destination, to, source, from, without, with) in Self.ipv4 {
      let bytes = frame4(source, destination, 6, big(from) + big(to) + [UInt8](repeating: 0, count: 16))
      let layout = FrameLayout(bytes.wire)
      #expect(layout.isTCP && layout.transportOffset == 34)
      #expect(layout.hash(bytes.wire, key, addresses) == without)
      #expect(layout.hash(bytes.wire, key, .linux) == with)
      // UDP has addresses only.
      let udp = frame4(source, destination, 17, big(from) + big(to) + [0, 0, 0, 0])
      #expect(FrameLayout(udp.wire).hash(udp.wire, key, .linux) == without)
    }
    for (destination, to, source, from, without, with) in Self.ipv6 {
      let bytes = frame6(source, destination, 6, big(from) + big(to) + [UInt8](repeating: 0, count: 16))
      let layout = FrameLayout(bytes.wire)
      #expect(layout.isTCP && layout.transportOffset == 54)
      #expect(layout.hash(bytes.wire, key, addresses) == without)
      #expect(layout.hash(bytes.wire, key, .linux) == with)
    }
  }

  @Test func keysAreKept() throws {
    let key = try ToeplitzKey(decoding: Self.key.wire)
    #expect(try bytes(40) { (span: inout MutableRawSpan) in try key.encode(into: &span, at: 0) } == Self.key)
    cut(Self.key, needed: 40) { try ToeplitzKey(decoding: $0) }
    // The last bit of each word of input; behind the last one there is one bit of the key, which is 0.
    for index in 0..<9 { #expect(key.hash(1, at: index) != 0 && key.hash(0, at: index) == 0) }
    #expect(key.hash(.max, at: 0) == (0..<32).reduce(0) { $0 ^ key.hash(1 << UInt32($1), at: 0) })
  }

  @Test func tagsInsideAreSkipped() {
    var bytes = frame4("1.2.3.4", "5.6.7.8", 17, [UInt8](repeating: 0, count: 8))
    bytes.insert(contentsOf: [0x81, 0x00, 0x20, 0x05], at: 12)
    let layout = FrameLayout(bytes.wire)
    #expect(layout.network == .ipv4 && layout.networkOffset == 18 && layout.transportOffset == 38 && layout.isUDP)
    bytes.insert(contentsOf: [0x88, 0xA8, 0, 1], at: 12)
    #expect(FrameLayout(bytes.wire).networkOffset == 22)
    bytes.insert(contentsOf: [0x81, 0x00, 0, 1], at: 12)
    #expect(FrameLayout(bytes.wire).network == .other)
  }

  @Test func fragmentsHaveNoPorts() throws {
    let key = try ToeplitzKey(decoding: Self.key.wire)
    var bytes = frame4("66.9.149.187", "161.142.100.80", 6, [UInt8](repeating: 9, count: 20))
    bytes[20] = 0x20
    var layout = FrameLayout(bytes.wire)
    #expect(layout.isFragment && layout.transportOffset == 34)
    #expect(layout.hash(bytes.wire, key, .linux) == 0x323E_8FC2)
    bytes[21] = 1
    layout = FrameLayout(bytes.wire)
    #expect(layout.isFragment && layout.transportOffset == 0 && !layout.isTCP)
    #expect(layout.hash(bytes.wire, key, .linux) == 0x323E_8FC2)
  }

  @Test func extensionHeaders() {
    let options: [UInt8] = [43, 1] + [UInt8](repeating: 0, count: 14) + [6, 0] + [UInt8](repeating: 0, count: 6)
    var bytes = frame6(
      [1, 2, 3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3, 2, 1], 0, options + [UInt8](repeating: 0, count: 20))
    let layout = FrameLayout(bytes.wire)
    #expect(layout.isTCP && layout.hasExtensions && layout.transportOffset == 54 + 24)
    // A chain without an end.
    bytes = frame6(
      [1, 2, 3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3, 2, 1], 0,
      [UInt8](repeating: 0, count: 200))
    #expect(FrameLayout(bytes.wire).transportOffset == 0)
  }

  /// Every frame may end anywhere.
  @Test func everyCut() {
    let options: [UInt8] = [6, 0] + [UInt8](repeating: 0, count: 6)
    for bytes in [
      frame4("1.2.3.4", "5.6.7.8", 6, [UInt8](repeating: 0, count: 20)),
      frame6([1, 2, 3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3, 2, 1], 0, options + [UInt8](repeating: 0, count: 20)),
    ] {
      for count in 0...bytes.count {
        let part = Array(bytes.prefix(count))
        let layout = FrameLayout(part.wire)
        #expect(layout.transportOffset <= bytes.count)
        if let key = try? ToeplitzKey(decoding: Self.key.wire) { _ = layout.hash(part.wire, key, .linux) }
      }
    }
  }

  @Test func checksums() {
    // RFC 1071's example: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
    let example: [UInt8] = [0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]
    var sum = InternetChecksum()
    sum.add(example.wire)
    #expect(sum.partial == 0xDDF2 && sum.value == ~0xDDF2)
    // The same in any pieces.
    for first in 0...8 {
      for second in first...8 {
        var parts = InternetChecksum()
        parts.add(example.wire.extracting(0..<first))
        parts.add(example.wire.extracting(first..<second))
        parts.add(example.wire.extracting(second..<8))
        #expect(parts.partial == 0xDDF2, "\(first) \(second)")
      }
    }
    var long = InternetChecksum()
    long.add([UInt8](repeating: 0xFF, count: 65536).wire)
    #expect(long.partial == 0xFFFF)
    var number = InternetChecksum()
    number.add(bigEndian: 0x1234)
    #expect(number.partial == 0x1234)
  }
}
