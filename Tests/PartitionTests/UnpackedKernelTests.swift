// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing
import VMBus

@testable import Partition

/// Kernels that the host unpacks and moves.
@Suite struct UnpackedKernelTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func file(_ name: String, _ bytes: [UInt8]) throws -> BootFile {
    BootFile(path: try folder.write(name, bytes))
  }

  /// Three places in the first page: 64 bits at 0x20, backwards at 0x40, 32 bits at 0x30.
  static let table: [UInt32] = [0, 0x8100_0020, 0, 0x8100_0040, 0, 0x8100_0030]
  static let image: Range<UInt64> = 0x100_0000..<0x100_1000

  static func bytes(_ words: [UInt32]) -> [UInt8] { words.flatMap { AML.little($0) } }

  /// What the packed payloads below hold.
  static let payload = BootTests.elf() + bytes(table)

  /// Made by gzip -9, lz4 -l, xz --check=crc32 --x86 and zstd -19.
  static let samples: [(compression: KernelCompression, text: String)] = [
    (
      .gzip,
      "1f8b0800000000000203edcbb10d83400003403f133002237c992aa2812a3b454c1e08e2bfa2a5bb6b2cd9f277f9ac43"
        + "296986bccf1c93b39c73e795f6e8cfb18fdbefd0a7d6d700000000000000000f9a92ed9ff395f5c81dd698b22c182000"
        + "00"
    ),
    (
      .lz4,
      "02214c186b000000847f454c460201010001003102003e08003110000015002f4000010001333800010a00053a001510"
        + "1d005581ffffffff1b000418002f30000100ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        + "ffa54320000081ec1f90810000000030000081"
    ),
    (
      .xz,
      "fd377a585a0000016922de360201040021011a0001c980b3e0201700565d003f914584683d89a6da8acc93e6054820c6"
        + "3b24a3387c35ab87f47c40dd82ac566980d25bbd1e4190fd75fa820d834894f054ce654a375d7b233715e129933645e2"
        + "9af86a09c3492db82919a4159ff6027ef470386d9e000000d698b22c00016e98400000001b8ec98b3e300d8b02000000"
        + "0001595a"
    ),
    (
      .zstd,
      "28b52ffd0468dd0100b2c50a12e0690d00004306ea011ffbc884c34db3650af7f8dbfc2d0efbbaffe1dffe96346f875f"
        + "82ff6600a5a302040096eff678e7410680130d9ed1a8a691"
    ),
  ]

  static func packed(_ compression: KernelCompression) throws -> [UInt8] {
    guard compression != .stored else { return payload }
    let text = Array(try #require(samples.first { $0.compression == compression }).text.utf8)
    let bytes = stride(from: 0, to: text.count, by: 2).compactMap {
      UInt8(String(decoding: text[$0..<$0 + 2], as: UTF8.self), radix: 16)
    }
    // Behind all but gzip's stands the length, as kernels have it.
    return compression == .gzip ? bytes : bytes + AML.little(UInt32(payload.count))
  }

  /// A bzImage around a payload, 0x2D0 bytes into its protected-mode part.
  static func bzImage(_ payload: [UInt8]) -> [UInt8] {
    let count = (0x2D0 + payload.count + 15) & ~15
    var image = ByteImage(count: 5 * 512 + count)
    image.put(BootTests.bzImage(payload: count), at: 0)
    image.put(UInt32(count / 16), at: 0x1F4)
    image.put(UInt32(0x20_0000), at: 0x230)
    image.put(UInt32(0x2D0), at: 0x248)
    image.put(UInt32(payload.count), at: 0x24C)
    image.put(payload, at: 5 * 512 + 0x2D0)
    return image.bytes
  }

  private struct Loaded {
    let loader: BootLoader
    let memory: GuestMemory

    func word(_ address: UInt64) throws -> UInt64 {
      let bytes = try memory.read(address, count: 8)
      return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
  }

  private func load(_ file: BootFile, _ commandLine: String = "", byGuest: Bool = false) throws -> Loaded {
    var configuration = PartitionConfiguration(
      processors: 1, memoryBytes: 128 << 20, kernel: file, commandLine: commandLine)
    configuration.guestUnpacksKernel = byGuest
    let memory = try GuestMemory(byteCount: configuration.memoryBytes)
    let loader = try BootLoader(configuration, ranges: memory.ranges)
    try loader.loadFiles(into: memory)
    try loader.writeParameters(into: memory, acpi: [], managementInformation: [], seed: [])
    return Loaded(loader: loader, memory: memory)
  }

  // MARK: Unpacking

  @Test(arguments: KernelCompression.allCases) func unpacks(_ compression: KernelCompression) throws {
    let image = Self.bzImage(try Self.packed(compression))
    let file = try file("kernel", image)
    let source = try BootSource(opening: file)
    let payload = try #require(unsafe KernelPayload(header: image.span.bytes, of: source))
    #expect(payload.compression == compression && payload.unpackedBytes == UInt64(Self.payload.count))
    if compression != .stored {
      let unpacked = try #require(payload.unpack(source))
      #expect(try unpacked.read(at: 0, count: Int(unpacked.byteCount)) == Self.payload)
    }
    let loaded = try load(file, "nokaslr")
    #expect(loaded.loader.entry == 0x100_0010)
    #expect(try loaded.memory.read(0x100_0000, count: 4096) == Array(Self.payload[4096..<8192]))
  }

  /// A damaged payload is an error of the unpacking or other bytes, and never worse; the kernel's own code is loaded then.
  @Test(arguments: KernelCompression.allCases) func damagedAtEveryByte(_ compression: KernelCompression) throws {
    let packed = try Self.packed(compression)
    for index in packed.indices where index < 200 || index % 97 == 0 {
      for change: UInt8 in [0xFF, 0x01] {
        var damaged = packed
        damaged[index] ^= change
        let image = Self.bzImage(damaged)
        let loaded = try load(try file("damaged", image), "nokaslr")
        #expect((0x100_0000..<0x100_4000).contains(loaded.loader.entry), "byte \(index)")
      }
    }
    for count in packed.indices where count < 200 {
      let loaded = try load(try file("cut", Self.bzImage(Array(packed.prefix(count)))), "nokaslr")
      #expect(loaded.loader.entry == 0x100_0200, "\(count) bytes")
    }
  }

  @Test func theGuestUnpacksWhenAsked() throws {
    let file = try file("kernel", Self.bzImage(try Self.packed(.xz)))
    let loaded = try load(file, byGuest: true)
    #expect(loaded.loader.entry == 0x100_0200)
    let flags = try loaded.memory.read(GuestLayout.bootParameters + 0x211, count: 1)
    #expect(flags == [1])
    // Nothing in a stored payload is for the kernel's own code to unpack.
    let stored = try load(try self.file("stored", Self.bzImage(Self.payload)), byGuest: true)
    #expect(stored.loader.entry == 0x100_0010)
  }

  /// For the software machine: the same kernel, with nothing left to unpack.
  @Test(arguments: KernelCompression.allCases) func repacked(_ compression: KernelCompression) throws {
    let file = try file("kernel", Self.bzImage(try Self.packed(compression)))
    let unpacked = UnpackedKernelFile(file.path)
    #expect((unpacked == nil) == (compression == .stored))
    guard let unpacked else { return }
    let again = BootFile(path: unpacked.path)
    let source = try BootSource(opening: again)
    let bytes = try source.read(at: 0, count: Int(source.byteCount))
    let repacked = try #require(unsafe KernelPayload(header: bytes.span.bytes, of: source))
    #expect(repacked.compression == .stored)
    #expect(UnpackedKernelFile(unpacked.path) == nil)
    for kernel in [file, again] {
      let loaded = try load(kernel, "nokaslr")
      #expect(loaded.loader.entry == 0x100_0010)
      #expect(try loaded.memory.read(0x100_0000, count: 4096) == Array(Self.payload[4096..<8192]))
    }
    #expect(UnpackedKernelFile(folder.path + "/missing") == nil)
    #expect(UnpackedKernelFile(try self.file("text", Array("#!/bin/sh\n".utf8)).path) == nil)
    #expect(UnpackedKernelFile(try self.file("elf", BootTests.elf()).path) == nil)
  }

  // MARK: Moving

  private static func relocations(_ words: [UInt32]) -> KernelRelocations? {
    let bytes = bytes(words)
    let table = unsafe UnpackedBytes(byteCount: bytes.count) {
      unsafe $0.copyBytes(from: bytes)
      return true
    }
    return table.flatMap { KernelRelocations($0, image: image) }
  }

  @Test func relocations() throws {
    let three = try #require(Self.relocations(Self.table))
    #expect([1, 3, 5].map(three.place) == [0x100_0020, 0x100_0040, 0x100_0030])
    #expect(three.parts.map(\.kind) == [.word64, .inverse32, .word32])
    #expect(three.parts.map(\.range) == [1..<2, 3..<4, 5..<6])
    // Kernels from 6.15 on.
    let two = try #require(Self.relocations([0, 0x8100_0020, 0x8100_0028, 0]))
    #expect(two.parts.map(\.kind) == [.word64, .word32] && two.parts.map(\.range) == [1..<3, 4..<4])
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
    defer { unsafe memory.deallocate() }
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe memory.storeBytes(of: 0xFFFF_FFFF_8100_0000, toByteOffset: 0x20, as: UInt64.self)
    unsafe memory.storeBytes(of: 0x10, toByteOffset: 0x40, as: UInt32.self)
    unsafe memory.storeBytes(of: 0x8100_0004, toByteOffset: 0x30, as: UInt32.self)
    unsafe three.apply(0x3FE0_0000, to: memory, at: 0x100_0000)
    #expect(unsafe memory.load(fromByteOffset: 0x20, as: UInt64.self) == 0xFFFF_FFFF_C0E0_0000)
    #expect(unsafe memory.load(fromByteOffset: 0x40, as: UInt32.self) == UInt32(bitPattern: 0x10 - 0x3FE0_0000))
    #expect(unsafe memory.load(fromByteOffset: 0x30, as: UInt32.self) == 0xC0E0_0004)
    // Less memory than image: what is outside is left alone.
    unsafe three.apply(0x20_0000, to: UnsafeMutableRawBufferPointer(rebasing: memory[..<0x24]), at: 0x100_0000)
    unsafe three.apply(0x20_0000, to: memory, at: 0x100_0038)
  }

  @Test(
    arguments: [
      [], [0], [0, 0], [0, 0, 0], [0x8100_0020, 0, 0], [0, 0, 0, 0, 0x8100_0020], [0, 0x80FF_FFFC, 0, 0],
      [0, 0x8100_1000, 0, 0], [0, 0x8100_0FFC, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0x8100_0FFE], [0, 0xFFFF_FFFF, 0],
    ] as [[UInt32]])
  func tablesThatAreNone(_ words: [UInt32]) {
    #expect(Self.relocations(words) == nil)
  }

  @Test func placesToMoveTo() {
    #expect(KernelRelocations.choices(end: 0x400_0000, alignment: 0x20_0000) == 481)
    #expect(KernelRelocations.choices(end: 1 << 30, alignment: 0x20_0000) == 1)
    #expect(KernelRelocations.choices(end: .max, alignment: 0x20_0000) == 1)
    #expect(KernelRelocations.choices(end: 0x400_0000, alignment: 0) == 1)
  }

  @Test func movedAtRandomUnlessToldNotTo() throws {
    let file = try file("kernel", Self.bzImage(try Self.packed(.zstd)))
    var seen: Set<UInt64> = []
    for _ in 0..<8 {
      let loaded = try load(file, "console=ttyS0 nokaslr.not=1")
      let distance = try loaded.word(0x100_0020)
      #expect(distance % 0x20_0000 == 0 && distance < 1 << 30)
      #expect(try loaded.word(0x100_0030) == distance)
      #expect(try loaded.word(0x100_0040) == UInt64(UInt32(truncatingIfNeeded: 0 &- distance)))
      #expect(try loaded.memory.read(GuestLayout.bootParameters + 0x211, count: 1) == [3], "told that it was moved")
      seen.insert(distance)
    }
    #expect(seen.count > 1)
    let still = try load(file, "a nokaslr b")
    #expect(try still.word(0x100_0020) == 0)
    #expect(try still.memory.read(GuestLayout.bootParameters + 0x211, count: 1) == [1])
  }

  /// The ELF file claims memory that the bzImage does not, or no place in it fits: the kernel's own code decides.
  @Test func unexpectedPayloads() throws {
    for (offset, value) in [(88, 0xF0_0000), (104, 0x1000_0000), (88, 1 << 40), (96, 1 << 40), (56, 0)]
      as [(Int, UInt64)]
    {
      var payload = Self.payload
      payload.replaceSubrange(offset..<offset + 8, with: AML.little(value))
      #expect(try load(try file("odd", Self.bzImage(payload))).loader.entry == 0x100_0200, "\(offset) \(value)")
    }
    // A table that is none: the kernel is not moved.
    let plain = try load(try file("plain", Self.bzImage(BootTests.elf() + [1, 2, 3, 4])))
    #expect(try plain.loader.entry == 0x100_0010 && plain.word(0x100_0020) == 0)
  }
}
