// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

/// A kernel file unpacked into memory, for a machine that would do that slowly itself: the bzImage as it was, with a
/// payload that is stored. Its bytes are there as long as this object is.
public final class UnpackedKernelFile: Sendable {
  private let memory: Descriptor

  /// A path by which this process can open it.
  public var path: String { "/proc/self/fd/\(memory.number)" }

  /// nil: there is nothing to unpack, or it cannot be done here; the file itself serves as well. Blocks while it works.
  public init?(_ path: String) {
    guard let source = try? BootSource(opening: BootFile(path: path)),
      let header = try? source.header(),
      let image = try? unsafe KernelImage(header: header.span.bytes, fileBytes: source.byteCount),
      let payload = unsafe KernelPayload(header: header.span.bytes, of: source), payload.compression != .stored,
      let bytes = payload.unpack(source), UnpackedKernel(bytes, of: image) != nil,
      let front = try? source.read(at: 0, count: Int(payload.fileOffset)),
      let content = Self.content(front, bytes)
    else { return nil }
    let number = unsafe clinux_sealed_memory("swift-lis-kernel", UInt64(content.count))
    guard number >= 0 else { return nil }
    memory = Descriptor(owning: number)
    var place = 0
    while place < content.count {
      let result = unsafe content.withUnsafeBytes { buffer in
        unsafe pwrite(number, buffer.baseAddress.map { unsafe $0 + place }, content.count - place, off_t(place))
      }
      if result < 0, errno == EINTR { continue }
      guard result > 0 else { return nil }
      place += result
    }
  }

  /// `front` are the file's bytes before the payload; nil: they are no bzImage's.
  static func content(_ front: [UInt8], _ payload: some BootBytes) -> [UInt8]? {
    guard front.count > 0x264, let bytes = try? payload.read(at: 0, count: Int(payload.byteCount)),
      let count = UInt32(exactly: bytes.count)
    else { return nil }
    var content = front + bytes
    let start = Int(KernelImage.setupCodeBytes(sectors: front[0x1F1]))
    content += [UInt8](repeating: 0, count: (16 - (content.count - start) % 16) % 16)
    func put(_ value: UInt32, at offset: Int) {
      for index in 0..<4 { content[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
    }
    // The lengths of what follows the set-up code, in units of 16 bytes, and of the payload.
    put(UInt32((content.count - start) / 16), at: 0x1F4)
    put(count, at: 0x24C)
    return content
  }
}
