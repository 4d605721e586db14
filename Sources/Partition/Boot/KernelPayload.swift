// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The kernel in a bzImage: an ELF file, packed, behind the code that unpacks it.
struct KernelPayload: Equatable, Sendable {
  var compression: KernelCompression
  var fileOffset: UInt64
  /// Without the length behind it.
  var packedBytes: UInt64
  var unpackedBytes: UInt64

  /// More than any kernel has; what is longer is left to the guest.
  static let limit: UInt64 = 512 << 20

  /// nil: there is none, or none that can be unpacked here. `header` holds the file's first bytes.
  init?(header: RawSpan, of file: some BootBytes) {
    do {
      guard try header.read(UInt32.self, at: 0x202) == 0x5372_6448 else { return nil }
      let offset =
        KernelImage.setupCodeBytes(sectors: try header.read(UInt8.self, at: 0x1F1))
        + UInt64(try header.read(UInt32.self, at: 0x248))
      let count = UInt64(try header.read(UInt32.self, at: 0x24C))
      guard count > 64, count <= Self.limit, offset <= file.byteCount, count <= file.byteCount - offset,
        let compression = KernelCompression(magic: try file.read(at: offset, count: KernelCompression.magicBytes))
      else { return nil }
      self.compression = compression
      fileOffset = offset
      guard compression != .stored else {
        packedBytes = count
        unpackedBytes = count
        return
      }
      // The last four bytes: gzip has its length there itself, and is unpacked with it.
      packedBytes = compression == .gzip ? count : count - 4
      let length = try file.read(at: offset + count - 4, count: 4)
      unpackedBytes = UInt64(try unsafe length.span.bytes.read(UInt32.self, at: 0))
      guard unpackedBytes > 64, unpackedBytes <= Self.limit else { return nil }
    } catch {
      return nil
    }
  }

  /// nil: damaged, or the library for it is not there.
  func unpack(_ file: some BootBytes) -> UnpackedBytes? {
    let packed = unsafe UnpackedBytes(byteCount: Int(packedBytes)) { buffer in
      (try? unsafe file.read(at: fileOffset, into: buffer)) != nil
    }
    guard let packed else { return nil }
    return unsafe UnpackedBytes(byteCount: Int(unpackedBytes)) { buffer in
      unsafe packed.withBytes { unsafe compression.unpack($0, into: buffer) }
    }
  }
}
