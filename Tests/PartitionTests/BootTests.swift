// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@testable import Partition

@Suite struct BootTests {
  /// The smallest bzImage that is one: five sectors of set-up, then `payload` bytes.
  static func bzImage(payload: Int = 4096) -> [UInt8] {
    var image = ByteImage(count: 5 * 512 + payload)
    image.put(UInt8(4), at: 0x1F1)
    image.put(UInt32(payload / 16), at: 0x1F4)
    image.put(UInt16(0xAA55), at: 0x1FE)
    image.put([0xEB, 0x6A], at: 0x200)
    image.put(Array("HdrS".utf8), at: 0x202)
    image.put(UInt16(0x020F), at: 0x206)
    image.put(UInt8(1), at: 0x211)
    image.put(UInt32(0x7FFF_FFFF), at: 0x22C)
    image.put(UInt32(0x20_0000), at: 0x230)
    image.put(UInt16(0x3F), at: 0x236)
    image.put(UInt32(2047), at: 0x238)
    image.put(UInt64(0x100_0000), at: 0x258)
    image.put(UInt32(0x300_0000), at: 0x260)
    return image.bytes
  }

  /// An ELF file with one segment of `size` bytes at 16 MiB and 8 KiB of zeros behind.
  static func elf(machine: UInt16 = 62, size: Int = 4096) -> [UInt8] {
    var image = ByteImage(count: 4096 + size)
    image.put([0x7F, 0x45, 0x4C, 0x46, 2, 1, 1], at: 0)
    image.put(UInt16(2), at: 16)
    image.put(machine, at: 18)
    image.put(UInt64(0x100_0010), at: 24)
    image.put(UInt64(64), at: 32)
    image.put(UInt16(56), at: 54)
    image.put(UInt16(1), at: 56)
    image.put(UInt32(1), at: 64)
    image.put(UInt64(4096), at: 72)
    image.put(UInt64(0xFFFF_FFFF_8100_0000), at: 80)
    image.put(UInt64(0x100_0000), at: 88)
    image.put(UInt64(size), at: 96)
    image.put(UInt64(size + 8192), at: 104)
    return image.bytes
  }

  func parse(_ bytes: [UInt8], fileBytes: UInt64? = nil) throws(KernelProblem) -> KernelImage {
    try unsafe KernelImage(
      header: Array(bytes.prefix(KernelImage.headerBytes)).span.bytes, fileBytes: fileBytes ?? UInt64(bytes.count))
  }

  func problem(_ bytes: [UInt8]) -> BootFileProblem? {
    do throws(KernelProblem) {
      _ = try parse(bytes)
      return nil
    } catch { return error.problem }
  }

  @Test func compressedKernel() throws {
    let image = try parse(Self.bzImage())
    #expect(
      image.segments == [
        KernelImage.Segment(fileOffset: 2560, fileBytes: 4096, address: 0x100_0000, memoryBytes: 4096)
      ])
    #expect(image.entry == 0x100_0200)
    #expect(image.end == 0x400_0000)
    #expect(image.commandLineLimit == 2047)
    #expect(image.setupHeader.count == 0x26C - 0x1F1)
  }

  @Test func compressedKernelCutAtEveryLength() {
    let bytes = Self.bzImage()
    for count in 0..<bytes.count where count < 0x300 || count % 97 == 0 {
      #expect(problem(Array(bytes.prefix(count))) != nil, "\(count)")
    }
  }

  @Test func uncompressedKernel() throws {
    let image = try parse(Self.elf())
    #expect(image.entry == 0x100_0010)
    #expect(image.end == 0x100_0000 + 4096 + 8192)
    #expect(image.segments.count == 1)
    #expect(image.setupHeader.isEmpty)
  }

  @Test func virtualEntryIsTranslated() throws {
    var bytes = Self.elf()
    bytes.replaceSubrange(24..<32, with: AML.little(UInt64(0xFFFF_FFFF_8100_0020)))
    #expect(try parse(bytes).entry == 0x100_0020)
    bytes.replaceSubrange(24..<32, with: AML.little(UInt64(0x10)))
    #expect(problem(bytes) == .noEntryPoint("0x10"))
  }

  @Test func uncompressedKernelCutAtEveryLength() {
    let bytes = Self.elf()
    for count in 0..<bytes.count where count < 256 || count % 97 == 0 {
      #expect(problem(Array(bytes.prefix(count))) != nil, "\(count)")
    }
  }

  @Test func otherArchitectures() {
    #expect(problem(Self.elf(machine: 183)) == .wrongArchitecture("arm64"))
    #expect(problem(Self.elf(machine: 3)) == .wrongArchitecture("32-bit x86"))
    var small = Self.elf()
    small[4] = 1
    #expect(problem(small) == .wrongArchitecture("32-bit ELF"))
    var image32 = Self.bzImage()
    image32[0x236] = 0
    #expect(problem(image32) == .wrongArchitecture("32-bit x86"))
    var arm = ByteImage(count: 4096)
    arm.put(Array("ARM\u{64}".utf8), at: 0x38)
    #expect(problem(arm.bytes) == .wrongArchitecture("arm64"))
  }

  @Test func notKernels() {
    #expect(problem([]) == .empty)
    #expect(problem([UInt8](repeating: 0x41, count: 100_000)) == .notAKernel)
    #expect(problem(Array("#!/bin/sh\n".utf8)) == .truncated(needed: 0x206, available: 10))
  }

  /// Every header field of both formats with the values that break arithmetic: an error or an image within bounds.
  @Test func hostileFieldsNeverTrap() {
    let values: [UInt64] = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 1 << 31, 0xFFFF_FFFF, 1 << 63, .max - 1, .max]
    for (base, fields) in [
      (Self.bzImage(), Array(0x1F1..<0x270)), (Self.elf(), Array(0..<120)),
    ] {
      for field in fields {
        for value in values {
          for width in [1, 2, 4, 8] where field + width <= base.count {
            var bytes = base
            for index in 0..<width { bytes[field + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
            guard let image = try? parse(bytes) else { continue }
            for segment in image.segments {
              #expect(segment.fileOffset + segment.fileBytes <= UInt64(bytes.count))
              #expect(segment.address + segment.memoryBytes <= 1 << 33)
            }
          }
        }
      }
    }
  }

  @Test func memoryMap() {
    let small = E820Entry.map(of: [GuestMemoryRange(base: 0, byteCount: 256 << 20)])
    #expect(small.map(\.kind) == [.ram, .reserved, .ram])
    #expect(small[2] == E820Entry(base: 1 << 20, byteCount: 255 << 20, kind: .ram))
    let large = E820Entry.map(of: [
      GuestMemoryRange(base: 0, byteCount: GuestMemory.holeBase),
      GuestMemoryRange(base: GuestMemory.holeEnd, byteCount: 1 << 30),
    ])
    #expect(large.count == 4)
    #expect(large[3] == E820Entry(base: 1 << 32, byteCount: 1 << 30, kind: .ram))
    for (one, next) in zip(large, large.dropFirst()) { #expect(one.base + one.byteCount <= next.base) }
  }

  @Test func parameterPage() throws {
    let image = try parse(Self.bzImage())
    let page = BootParameters(
      setupHeader: image.setupHeader,
      memoryMap: E820Entry.map(of: [GuestMemoryRange(base: 0, byteCount: 256 << 20)]), rootPointer: 0xE0000,
      commandLine: 0x20000, initramfs: GuestMemoryRange(base: 0x800_0000, byteCount: 12345), setupData: 0x10000
    ).encoded()
    let span = unsafe page.span.bytes
    #expect(page.count == 4096)
    #expect(try span.read(UInt64.self, at: 0x070) == 0xE0000)
    #expect(page[0x1E8] == 3)
    // Not 0: the kernel would take it for garbage of a careless loader and wipe what we wrote.
    #expect(page[0x1EF] == 0)
    #expect(try span.read(UInt32.self, at: 0x202) == 0x5372_6448)
    #expect(page[0x210] == 0xFF)
    #expect(try span.read(UInt32.self, at: 0x218) == 0x800_0000)
    #expect(try span.read(UInt32.self, at: 0x21C) == 12345)
    #expect(try span.read(UInt32.self, at: 0x228) == 0x20000)
    #expect(try span.read(UInt64.self, at: 0x250) == 0x10000)
    #expect(try span.read(UInt64.self, at: 0x2D0 + 40) == 0x10_0000)
  }

  @Test func pageTablesMapFourGigabytesOneToOne() throws {
    let tables = BootLoader.identityPageTables()
    let span = unsafe tables.span.bytes
    #expect(tables.count == 6 * 4096)
    for address: UInt64 in [0, 0x100_0200, 0xFFE0_0000] {
      let top = try span.read(UInt64.self, at: 0) & ~0xFFF
      let pointers = Int(top - GuestLayout.pageTables)
      let directory = try span.read(UInt64.self, at: pointers + Int(address >> 30) * 8) & ~0xFFF
      let entry = try span.read(
        UInt64.self, at: Int(directory - GuestLayout.pageTables) + Int(address >> 21 & 511) * 8)
      #expect(entry & 0x83 == 0x83)
      #expect(entry & ~0x1F_FFFF == address & ~0x1F_FFFF)
    }
  }

  @Test func nothingOverlapsBelowOneMegabyte() {
    let areas: [(UInt64, UInt64)] = [
      (GuestLayout.descriptorTable, 32), (GuestLayout.bootParameters, 4096), (GuestLayout.pageTables, 6 * 4096),
      (GuestLayout.commandLine, UInt64(GuestLayout.commandLineRoom)), (GuestLayout.setupData, 80),
      (GuestLayout.conventionalEnd, 0),
    ]
    for (one, next) in zip(areas, areas.dropFirst()) { #expect(one.0 + one.1 <= next.0) }
  }
}
