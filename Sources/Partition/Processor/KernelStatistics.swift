// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

/// A processor's counters in KVM (KVM_GET_STATS_FD; Documentation/virt/kvm/api.rst of Linux).
final class KernelStatistics: Sendable {
  private let descriptor: Descriptor

  init?(_ processor: borrowing Descriptor) {
    let result = clinux_ioctl(processor.number, CLINUX_KVM_GET_STATS_FD, 0)
    guard result >= 0 else { return nil }
    descriptor = Descriptor(owning: Int32(result))
  }

  /// All counters that are single numbers, by name.
  func read() -> [String: UInt64] {
    // Header: flags, name size, descriptors, id offset, descriptors' offset, data offset; u32 each.
    let header = bytes(at: 0, count: 24)
    guard header.count == 24 else { return [:] }
    let nameBytes = Int(Self.word(header, 4))
    let count = Int(Self.word(header, 8))
    let table = Int(Self.word(header, 16))
    let data = Int(Self.word(header, 20))
    guard nameBytes > 0, nameBytes <= 256, count <= 1024 else { return [:] }
    // Descriptor: flags u32, exponent s16, size u16, offset u32, bucket size u32, name.
    let entryBytes = 16 + nameBytes
    let descriptors = bytes(at: table, count: entryBytes * count)
    guard descriptors.count == entryBytes * count else { return [:] }
    var offsets: [(String, Int)] = []
    var end = 0
    for number in 0..<count {
      let at = number * entryBytes
      let size = Int(descriptors[at + 6]) | Int(descriptors[at + 7]) << 8
      guard size == 1 else { continue }
      let offset = Int(Self.word(descriptors, at + 8))
      let name = descriptors[(at + 16)..<(at + entryBytes)].prefix { $0 != 0 }
      offsets.append((String(decoding: name, as: UTF8.self), offset))
      end = max(end, offset + 8)
    }
    let values = bytes(at: data, count: end)
    guard values.count == end else { return [:] }
    var result: [String: UInt64] = [:]
    for (name, offset) in offsets {
      result[name] = UInt64(Self.word(values, offset)) | UInt64(Self.word(values, offset + 4)) << 32
    }
    return result
  }

  private func bytes(at offset: Int, count: Int) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: count)
    let result = unsafe buffer.withUnsafeMutableBytes {
      unsafe pread(descriptor.number, $0.baseAddress, count, off_t(offset))
    }
    return result == count ? buffer : []
  }

  private static func word(_ bytes: [UInt8], _ at: Int) -> UInt32 {
    UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16 | UInt32(bytes[at + 3]) << 24
  }
}
