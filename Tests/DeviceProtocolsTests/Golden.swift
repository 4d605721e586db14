// SPDX-License-Identifier: Apache-2.0

/// Packets as Linux's own structures lay them out.
///
/// Written by a C program, compiled by gcc 12 for x86-64, that fills `vmbuspipe_hdr`, `icmsg_hdr` and the message
/// structures of include/linux/hyperv.h and include/uapi/linux/hyperv.h of Debian's linux-source-6.1 (6.1.192) and dumps
/// them: so sizes, offsets and packing are the guest compiler's, not ours. Only runs of bytes that are not zero are
/// listed.
struct Golden: Sendable {
  let size: Int
  let runs: [(Int, String)]

  var bytes: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    for (offset, text) in runs {
      var digits = text.filter { $0.isHexDigit }[...]
      var position = offset
      while !digits.isEmpty {
        bytes[position] = UInt8(digits.prefix(2), radix: 16) ?? 0
        digits = digits.dropFirst(2)
        position += 1
      }
    }
    return bytes
  }
}

extension Golden {
  static let negotiateShutdown = Golden(
    size: 60,
    runs: [
      (
        0,
        """
        01000000 34000000 03000000 00000300 02002000 00000000 01030000 02000400 \
        00000000 03000000 01000000 03000200 03000100 03000000 01
        """
      )
    ])

  static let negotiatedShutdown = Golden(
    size: 60,
    runs: [
      (
        0,
        """
        01000000 34000000 03000000 00000300 02001000 00000000 01050000 01000100 \
        00000000 03000000 03000200 03000200 03000100 03000000 01
        """
      )
    ])

  static let heartbeat = Golden(
    size: 68,
    runs: [
      (
        0,
        """
        01000000 3c000000 03000000 01000300 00002800 00000000 07030000 88776655 \
        44332211
        """
      )
    ])

  static let shutdown = Golden(
    size: 2088,
    runs: [
      (
        0,
        """
        01000000 20080000 03000000 03000300 02000c08 00000000 09030000 00000080 \
        b4000000 03000000 4d006100 69006e00 74006500 6e006100 6e006300 65
        """
      )
    ])

  static let time4 = Golden(
    size: 50,
    runs: [
      (
        0,
        """
        01000000 2a000000 03000000 04000400 00001600 00000000 04030000 78563412 \
        5a3cdb01 89674523 01000000 010001
        """
      )
    ])

  static let time3 = Golden(
    size: 53,
    runs: [
      (
        0,
        """
        01000000 2d000000 03000000 04000300 00001900 00000000 05030000 78563412 \
        5a3cdb01
        """
      ),
      (
        52,
        """
        02
        """
      ),
    ])

  static let kvpSetString = Golden(
    size: 2604,
    runs: [
      (
        0,
        """
        01000000 240a0000 03000000 02000400 0000100a 00000000 06030000 01030000 \
        01000000 12000000 08000000 48006f00 73007400 4e006100 6d0065
        """
      ),
      (
        556,
        """
        6c006900 73
        """
      ),
    ])

  static let kvpSetNumber = Golden(
    size: 2604,
    runs: [
      (
        0,
        """
        01000000 240a0000 03000000 02000400 0000100a 00000000 06030000 01000000 \
        08000000 04000000 08000000 6e
        """
      ),
      (
        556,
        """
        11223344 55667788
        """
      ),
    ])

  static let kvpDelete = Golden(
    size: 548,
    runs: [
      (
        0,
        """
        01000000 1c020000 03000000 02000400 00000802 00000000 06030000 02000000 \
        08000000 6b006500 79
        """
      )
    ])

  static let kvpEnumerated = Golden(
    size: 2608,
    runs: [
      (
        0,
        """
        01000000 280a0000 03000000 02000400 0000140a 00000000 06050000 03020000 \
        09000000 01000000 2c000000 0e000000 50007200 6f006300 65007300 73006f00 \
        72004100 72006300 68006900 74006500 63007400 75007200 65
        """
      ),
      (
        560,
        """
        78003800 36005f00 360034
        """
      ),
    ])

  static let kvpSetAddresses = Golden(
    size: 7456,
    runs: [
      (
        0,
        """
        01000000 181d0000 03000000 02000400 0000041d 00000000 06030000 05007b00 \
        61006200 7d
        """
      ),
      (
        286,
        """
        03013100 30002e00 30002e00 30002e00 32003b00 66006400 30003000 3a003a00 \
        32
        """
      ),
      (
        2336,
        """
        32003500 35002e00 30002e00 30002e00 30003b00 2f003600 34
        """
      ),
      (
        4384,
        """
        31003000 2e003000 2e003000 2e0031
        """
      ),
      (
        5408,
        """
        39002e00 39002e00 39002e00 39
        """
      ),
    ])

  static let vss = Golden(
    size: 40,
    runs: [
      (
        0,
        """
        01000000 20000000 03000000 05000500 00000c00 00000000 06030000 05
        """
      ),
      (
        36,
        """
        05
        """
      ),
    ])

  static let copyStart = Golden(
    size: 1116,
    runs: [
      (
        0,
        """
        01000000 54040000 03000000 07000100 01004004 00000000 0603
        """
      ),
      (
        64,
        """
        61002e00 74007800 74
        """
      ),
      (
        584,
        """
        2f007400 6d0070
        """
      ),
      (
        1104,
        """
        03000000 88776655 44332211
        """
      ),
    ])

  static let copyWrite = Golden(
    size: 6224,
    runs: [
      (
        0,
        """
        01000000 48180000 03000000 07000100 01003418 00000000 06030000 01
        """
      ),
      (
        68,
        """
        66554433 22110000 03000000 616263
        """
      ),
      (
        6223,
        """
        ff
        """
      ),
    ])

  static let copyCancel = Golden(
    size: 64,
    runs: [
      (
        0,
        """
        01000000 38000000 03000000 07000100 01002400 00000000 06030000 03
        """
      )
    ])
}
