// SPDX-License-Identifier: Apache-2.0

/// The blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian. Each is padded to four bytes and has its length
/// at both ends.
enum CaptureFormat {
  static var sectionHeader: [UInt8] {
    var body: [UInt8] = []
    append32(0x1a2b_3c4d, &body)
    append16(1, &body)
    append16(0, &body)
    // The section's length is not known.
    append32(0xffff_ffff, &body)
    append32(0xffff_ffff, &body)
    option(4, [UInt8]("swift-lis".utf8), &body)
    endOptions(&body)
    return block(0x0a0d_0d0a, body)
  }

  static func interface(_ name: String, snapLength: Int) -> [UInt8] {
    var body: [UInt8] = []
    // LINKTYPE_ETHERNET
    append16(1, &body)
    append16(0, &body)
    append32(UInt32(clamping: snapLength), &body)
    option(2, [UInt8](name.utf8.prefix(256)), &body)
    // if_tsresol: nanoseconds.
    option(9, [9], &body)
    endOptions(&body)
    return block(1, body)
  }

  /// An enhanced packet block with `count` bytes of the frame.
  static func packet(
    _ frame: FrameView, _ count: Int, _ interface: UInt32, _ flags: UInt32, _ time: UInt64, _ bytes: inout [UInt8]
  ) {
    let padding = (4 - count % 4) % 4
    let length = UInt32(28 + count + padding + 12 + 4)
    append32(6, &bytes)
    append32(length, &bytes)
    append32(interface, &bytes)
    append32(UInt32(truncatingIfNeeded: time >> 32), &bytes)
    append32(UInt32(truncatingIfNeeded: time), &bytes)
    append32(UInt32(count), &bytes)
    append32(UInt32(clamping: frame.byteCount), &bytes)
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: count + padding))
    unsafe bytes.withUnsafeMutableBytes { room in
      _ = unsafe frame.copy(to: UnsafeMutableRawBufferPointer(rebasing: room[start..<start + count]))
    }
    // epb_flags: the direction in bits 0 and 1.
    append16(2, &bytes)
    append16(4, &bytes)
    append32(flags, &bytes)
    endOptions(&bytes)
    append32(length, &bytes)
  }

  private static func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    append32(type, &bytes)
    append32(UInt32(body.count + 12), &bytes)
    bytes += body
    append32(UInt32(body.count + 12), &bytes)
    return bytes
  }

  private static func option(_ code: UInt16, _ value: [UInt8], _ bytes: inout [UInt8]) {
    append16(code, &bytes)
    append16(UInt16(clamping: value.count), &bytes)
    bytes += value + [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
  }

  private static func endOptions(_ bytes: inout [UInt8]) { append32(0, &bytes) }

  private static func append16(_ value: UInt16, _ bytes: inout [UInt8]) {
    bytes.append(UInt8(truncatingIfNeeded: value))
    bytes.append(UInt8(truncatingIfNeeded: value >> 8))
  }

  private static func append32(_ value: UInt32, _ bytes: inout [UInt8]) {
    append16(UInt16(truncatingIfNeeded: value), &bytes)
    append16(UInt16(truncatingIfNeeded: value >> 16), &bytes)
  }
}
