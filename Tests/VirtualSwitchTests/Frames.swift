// SPDX-License-Identifier: Apache-2.0

@testable import VirtualSwitch

/// Frames for tests, byte by byte.
enum Frames {
  static func address(_ number: UInt8) -> MACAddress { MACAddress(rawValue: 0x0015_5d00_0000 | UInt64(number)) }

  static func bytes(_ address: MACAddress) -> [UInt8] {
    (0..<6).map { UInt8(truncatingIfNeeded: address.rawValue >> UInt64(40 - 8 * $0)) }
  }

  static func word(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }

  /// `tags`: TCIs of 802.1Q tags in the bytes, the outermost first.
  static func ethernet(
    to: MACAddress, from: MACAddress, tags: [UInt16] = [], type: UInt16 = 0x88b5,
    payload: [UInt8] = [UInt8](repeating: 0x5a, count: 46)
  ) -> [UInt8] {
    bytes(to) + bytes(from) + tags.flatMap { word(0x8100) + word($0) } + word(type) + payload
  }

  static func ip4(
    _ transport: UInt8, _ payload: [UInt8], fragment: UInt16 = 0, source: [UInt8] = [10, 0, 0, 1],
    target: [UInt8] = [10, 0, 0, 2]
  ) -> [UInt8] {
    var header: [UInt8] = [0x45, 0] + word(UInt16(clamping: 20 + payload.count)) + [0x12, 0x34] + word(fragment)
    header += [64, transport, 0, 0] + source + target
    let sum = reference([header])
    header[10] = UInt8(sum >> 8)
    header[11] = UInt8(sum & 0xff)
    return header + payload
  }

  /// `next`: the first header's number; extension headers are part of the payload.
  static func ip6(_ next: UInt8, _ payload: [UInt8]) -> [UInt8] {
    [0x60, 0, 0, 0] + word(UInt16(clamping: payload.count)) + [next, 64] + [UInt8](repeating: 0xfe, count: 15) + [1]
      + [UInt8](repeating: 0xfd, count: 15) + [2]
      + payload
  }

  static func tcp(_ payload: [UInt8], flags: UInt8 = 0x18, sequence: UInt32 = 0xffff_fff0) -> [UInt8] {
    word(1000) + word(80) + word(UInt16(sequence >> 16)) + word(UInt16(sequence & 0xffff)) + [0, 0, 0, 1, 0x80, flags]
      + word(512) + [0, 0, 0, 0] + [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2] + payload
  }

  static func udp(_ payload: [UInt8], from: UInt16 = 1000, to: UInt16 = 2000) -> [UInt8] {
    word(from) + word(to) + word(UInt16(clamping: 8 + payload.count)) + [0, 0] + payload
  }

  /// The sum as RFC 1071 describes it, one byte at a time: what the tests compare with.
  static func reference(_ parts: [[UInt8]]) -> UInt16 {
    var sum: UInt32 = 0
    for part in parts {
      for (index, byte) in part.enumerated() { sum += index % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte) }
      while sum >> 16 != 0 { sum = (sum & 0xffff) + (sum >> 16) }
    }
    return ~UInt16(sum)
  }

  /// Whether the TCP or UDP checksum of an untagged frame is right.
  static func isSound(_ frame: [UInt8]) -> Bool {
    let isIP4 = frame[12] == 0x08
    let start = isIP4 ? 34 : 54
    let addresses = Array(isIP4 ? frame[26..<34] : frame[22..<54])
    let transport = isIP4 ? frame[23] : frame[20]
    let body = Array(frame[start...])
    let pseudo = addresses + [0, transport] + word(UInt16(body.count))
    if isIP4, reference([Array(frame[14..<34])]) != 0 { return false }
    return reference([pseudo, body]) == 0
  }
}

extension Switch {
  /// Forwards bytes as the engine would.
  mutating func forward(
    _ bytes: [UInt8], tag: VLANTag? = nil, offloads: FrameOffloads = .none, from port: PortID, now: UInt64 = 0,
    shown: Int = Switch.headerBytes
  ) -> Forwarding {
    let header = Array(bytes.prefix(shown))
    return unsafe forward(
      header.span.bytes, byteCount: bytes.count, tag: tag, offloads: offloads, from: port, now: now)
  }
}
