// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The places of a kernel that change with its virtual address: what follows the ELF file in a bzImage's payload when
/// the kernel can be randomized (arch/x86/boot/compressed/misc.c of Linux 6.1 and 6.12).
///
/// Three sets of sign-extended 32-bit virtual addresses, each behind a zero: 64-bit places, 32-bit places that move the
/// other way, 32-bit places. Kernels from 6.15 on have no second set.
struct KernelRelocations: Sendable {
  enum Kind: Equatable, Sendable {
    case word64, inverse32, word32

    var byteCount: UInt64 { self == .word64 ? 8 : 4 }
  }

  /// Some words of the table.
  struct Part: Equatable, Sendable {
    var kind: Kind
    var range: Range<Int>
  }

  private let table: UnpackedBytes
  private(set) var parts: [Part] = []

  /// A kernel's virtual address is its physical one and this (`__START_KERNEL_map`).
  static let virtualBase: UInt64 = 0xFFFF_FFFF_8000_0000
  /// What randomization may use from there on (`KERNEL_IMAGE_SIZE`).
  static let virtualRoom: UInt64 = 1 << 30

  /// `table` follows the ELF file; every place must lie within `image`, physical addresses. nil: it is no such table.
  init?(_ table: UnpackedBytes, image: Range<UInt64>) {
    self.table = table
    guard table.byteCount >= 12, table.byteCount % 4 == 0, table.byteCount <= 1 << 30 else { return nil }
    let count = Int(table.byteCount) / 4
    var starts: [Int] = []
    for index in 0..<count where table.word(index) == 0 {
      starts.append(index + 1)
      guard starts.count <= 3 else { return nil }
    }
    guard starts.first == 1 else { return nil }
    let kinds: [Kind]
    switch starts.count {
    case 2: kinds = [.word64, .word32]
    case 3: kinds = [.word64, .inverse32, .word32]
    default: return nil
    }
    let ends = starts.dropFirst().map { $0 - 1 } + [count]
    for (kind, (start, end)) in zip(kinds, zip(starts, ends)) {
      for index in start..<end {
        let place = place(index)
        guard place >= image.lowerBound, place < image.upperBound, image.upperBound - place >= kind.byteCount else {
          return nil
        }
      }
      parts.append(Part(kind: kind, range: start..<end))
    }
    guard parts.contains(where: { !$0.range.isEmpty }) else { return nil }
  }

  /// The physical address, in a kernel that is where it was linked to, that a word of the table names.
  func place(_ index: Int) -> UInt64 {
    UInt64(bitPattern: Int64(Int32(bitPattern: table.word(index)))) &- Self.virtualBase
  }

  /// Moves the kernel in `memory`, whose first byte is physical address `base`, by `distance` virtual bytes. Places
  /// outside `memory` are left alone (there are none in memory that holds the image).
  func apply(_ distance: UInt64, to memory: UnsafeMutableRawBufferPointer, at base: UInt64) {
    for part in parts {
      for index in part.range {
        let address = place(index)
        guard address >= base, address - base + part.kind.byteCount <= UInt64(memory.count) else { continue }
        let offset = Int(address - base)
        switch part.kind {
        case .word64:
          let old = unsafe memory.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
          unsafe memory.storeBytes(of: old &+ distance, toByteOffset: offset, as: UInt64.self)
        case .inverse32:
          let old = unsafe memory.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
          unsafe memory.storeBytes(
            of: old &- UInt32(truncatingIfNeeded: distance), toByteOffset: offset, as: UInt32.self)
        case .word32:
          let old = unsafe memory.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
          unsafe memory.storeBytes(
            of: old &+ UInt32(truncatingIfNeeded: distance), toByteOffset: offset, as: UInt32.self)
        }
      }
    }
  }

  /// How far a kernel that ends at physical address `end` may be moved, in steps of `alignment`: one of so many.
  static func choices(end: UInt64, alignment: UInt64) -> UInt64 {
    guard end < virtualRoom, alignment > 0 else { return 1 }
    return (virtualRoom - end) / alignment + 1
  }
}
