// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// A 128-bit digest that names what a cache entry was built of.
///
/// Not a cryptographic hash: the cache belongs to the user who could as well replace what is in it. It is fast enough
/// (a word a step, two lanes) to look at the whole program at each start.
struct ContentHash {
  private var low: UInt64 = 0x9E37_79B9_7F4A_7C15
  private var high: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  private var length: UInt64 = 0

  mutating func add(_ text: String) {
    let bytes = Array(text.utf8)
    unsafe bytes.withUnsafeBytes { unsafe add($0) }
  }

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    var (a, b) = (low, high)
    let words = bytes.count / 8
    for index in 0..<words {
      let word = unsafe bytes.loadUnaligned(fromByteOffset: index &* 8, as: UInt64.self)
      a = (a ^ word) &* 0xFF51_AFD7_ED55_8CCD
      a ^= a &>> 32
      b = (b &+ word) &* 0xC4CE_B9FE_1A85_EC53
      b ^= b &>> 29
    }
    var tail: UInt64 = 0
    for index in words &* 8..<bytes.count { tail = unsafe tail << 8 | UInt64(bytes[index]) }
    low = (a ^ tail) &* 0xFF51_AFD7_ED55_8CCD
    high = (b &+ tail &+ 1) &* 0xC4CE_B9FE_1A85_EC53
    low ^= low >> 31
    high ^= high >> 30
    length &+= UInt64(bytes.count)
  }

  /// Adds a file's whole content.
  mutating func add(fileAt path: String) throws(SystemError) {
    let file = try Descriptor.open(path, O_RDONLY)
    let size = try FileStatus(file.number, path).size
    guard size > 0 else { return }
    let mapping = unsafe mmap(nil, size, PROT_READ, MAP_PRIVATE | Int32(MAP_POPULATE), file.number, 0)
    guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else { throw SystemError("mmap", path) }
    unsafe add(UnsafeRawBufferPointer(start: mapping, count: size))
    _ = unsafe munmap(mapping, size)
  }

  /// 32 hexadecimal digits.
  var text: String {
    let mixed = (low ^ (high << 1) ^ length) &* 0xFF51_AFD7_ED55_8CCD
    return Self.hex(mixed ^ (mixed >> 33)) + Self.hex(high ^ (low >> 7))
  }

  private static func hex(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
