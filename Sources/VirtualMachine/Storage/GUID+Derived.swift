// SPDX-License-Identifier: Apache-2.0

import CLinux
import VMBus

extension GUID {
  /// The same for the same text, on every machine and in every version: names disks whose image has no identity.
  /// Four checksums of the text, in the form of a name-based GUID (RFC 9562 version 8).
  static func derived(from text: String) -> GUID {
    var words: [UInt32] = []
    var text = text
    text.withUTF8 { bytes in
      for seed in [0x6c69_7331, 0x6c69_7332, 0x6c69_7333, 0x6c69_7334] as [UInt32] {
        words.append(unsafe clinux_crc32c(seed, bytes.baseAddress, bytes.count))
      }
    }
    return GUID(
      words[0], UInt16(truncatingIfNeeded: words[1]), 0x8000 | UInt16(truncatingIfNeeded: words[1] >> 20),
      0x8000 | UInt16(truncatingIfNeeded: words[2]) & 0x3FFF, UInt64(words[3]) << 16 | UInt64(words[2] >> 16))
  }
}
