// SPDX-License-Identifier: Apache-2.0

import StoreDoubles
import Testing

@testable import VirtualDisks

/// Files that somebody made to harm: each is refused with an error that names structure and offset, or opened without
/// harm, read-only and to write.
@Suite struct VHDHostileTests {
  /// A dynamic disk of 1 MiB with two blocks of data.
  private static func sound() throws -> SparseBytes {
    let store = try VHDBench.make(.dynamic, 1 << 20)
    let image = try VHDImage(store)
    try image.write([UInt8](repeating: 1, count: 512), at: 0)
    try image.write([UInt8](repeating: 2, count: 512), at: 1 << 19)
    try image.close()
    return store.contents
  }

  private static let tableOffset: UInt64 = 1536

  private func refusal(_ contents: SparseBytes) -> ImageError? {
    var refused: [ImageError?] = []
    for isReadOnly in [true, false] {
      let store = VHDBench.copy(contents, isReadOnly: isReadOnly)
      do throws(ImageError) {
        let image = try VHDImage(store)
        // What opens must also be usable without a trap.
        _ = try? image.bytes(at: 0, count: 512)
        _ = try? image.bytes(at: image.information.virtualByteCount - 512, count: 512)
        refused.append(nil)
      } catch {
        refused.append(error)
        #expect(store.contents == contents)
      }
    }
    #expect(refused[0] == refused[1])
    return refused[0]
  }

  private func header(_ change: (inout VHDDynamicHeader) -> Void) throws -> ImageError? {
    var contents = try Self.sound()
    let bytes = try #require(contents.bytes(at: 512, count: 1024))
    var header = try VHDDynamicHeader(decoding: bytes, diskSize: 1 << 20)
    change(&header)
    contents.write(header.encoded(), at: 512)
    return refusal(contents)
  }

  private func footer(_ change: (inout VHDFooter) -> Void) throws -> ImageError? {
    var contents = try Self.sound()
    let bytes = try #require(contents.bytes(at: 0, count: 512))
    var footer = try VHDFooter(decoding: bytes)
    change(&footer)
    contents.write(footer.encoded(), at: 0)
    contents.write(footer.encoded(), at: contents.byteCount - 512)
    return refusal(contents)
  }

  private func table(_ entries: [UInt32]) throws -> ImageError? {
    var contents = try Self.sound()
    contents.write(VHDImage.encoded(entries), at: Self.tableOffset)
    return refusal(contents)
  }

  @Test func theSoundOneIsSound() throws { #expect(refusal(try Self.sound()) == nil) }

  @Test func cutAtEachLength() throws {
    let contents = try Self.sound()
    let lengths: [UInt64] = Array(0...1100) + Array(stride(from: 1100, to: 6000, by: 43))
    for count in lengths + [contents.byteCount - 513, contents.byteCount - 512 - (256 << 10)] {
      var cut = contents
      cut.setByteCount(count)
      #expect(refusal(cut) != nil, "\(count)")
    }
    // Without its last sector the copy of the footer helps.
    for missing in 1...512 {
      var cut = contents
      cut.setByteCount(contents.byteCount - UInt64(missing))
      #expect(refusal(cut) == nil)
    }
  }

  @Test func damagedFooterFallsBackToTheCopy() throws {
    let contents = try Self.sound()
    for index in stride(from: 0, to: UInt64(512), by: 7) {
      for place in [0, contents.byteCount - 512] {
        var damaged = contents
        let byte = try #require(damaged.bytes(at: place + index, count: 1))
        damaged.write([byte[0] ^ 0x10], at: place + index)
        let image = try VHDImage(VHDBench.copy(damaged))
        #expect(image.notes.count == 1)
        #expect(try image.bytes(at: 1 << 19, count: 512) == [UInt8](repeating: 2, count: 512))
        // The first write puts it right.
        try image.write([UInt8](repeating: 5, count: 512), at: 512)
        try image.close()
      }
    }
    var both = contents
    both.write([0], at: 0)
    both.write([0], at: contents.byteCount - 512)
    #expect(refusal(both)?.structure == "footer cookie")
    #expect(refusal(both)?.offset == contents.byteCount - 512)
  }

  @Test func footerAndCopyThatContradictEachOther() throws {
    var contents = try Self.sound()
    let bytes = try #require(contents.bytes(at: 0, count: 512))
    var footer = try VHDFooter(decoding: bytes)
    footer.identifier = VHDIdentifier(high: 1, low: 2)
    contents.write(footer.encoded(), at: contents.byteCount - 512)
    #expect(refusal(contents)?.offset == contents.byteCount - 512)
  }

  @Test(arguments: [0, 1, 511, 513, (2040 << 30) + 512, 1 << 63, UInt64.max, UInt64.max - 511] as [UInt64])
  func diskSizes(size: UInt64) throws {
    #expect(try footer { $0.currentSize = size } != nil)
  }

  @Test(arguments: [0, 1, 511, 513, 1 << 40, 1 << 63, UInt64.max, UInt64.max - 511] as [UInt64])
  func headerOffsets(offset: UInt64) throws {
    #expect(try footer { $0.dataOffset = offset } != nil)
  }

  @Test func aDiskLargerThanItsTable() throws {
    #expect(try footer { $0.currentSize = 2 << 20 }?.structure == "dynamic disk header table entries")
  }

  @Test(arguments: [0, 1, 511, 512, 3 << 20, 512 << 20, 1 << 31, UInt32.max] as [UInt32])
  func blockSizes(size: UInt32) throws {
    #expect(try header { $0.blockSize = size } != nil)
  }

  @Test(arguments: [0, 1, 511, 1 << 40, 1 << 63, UInt64.max, UInt64.max - 511, 0x7fff_ffff_ffff_fe00] as [UInt64])
  func tableOffsets(offset: UInt64) throws {
    #expect(try header { $0.tableOffset = offset } != nil)
  }

  @Test func tableOverTheHeaders() throws {
    #expect(try header { $0.tableOffset = 512 } != nil)
    // What follows the end of the parent's name looks like two free entries: a block written would break the checksum.
    var contents = try VHDBench.make(.dynamic, 512 << 10).contents
    var sectors = BigEndianBytes(try #require(contents.bytes(at: 512, count: 1024)))
    sectors.write(UInt64.max, at: 512)
    contents.write(VHDDynamicHeader.moved(sectors.bytes, tableOffset: 1024, tableEntries: 2), at: 512)
    #expect(refusal(contents)?.structure == "block allocation table")
  }

  @Test func tableOfManyEntries() throws {
    // More than the disk needs, or the file holds: only what is needed is read.
    _ = try header { $0.tableEntries = .max }
    #expect(try header { $0.tableEntries = 0 } != nil)
  }

  @Test func entryBeyondTheEndOfTheFile() throws {
    let error = try table([0xffff_fffe, .max, .max, .max])
    #expect(error?.structure == "block allocation table entry 0" && error?.offset == Self.tableOffset)
    #expect(try table([.max, .max, 0x8000_0000, .max])?.offset == Self.tableOffset + 8)
  }

  @Test func entryInsideTheMetadata() throws {
    for sector: UInt32 in 0..<4 { #expect(try table([sector, .max, .max, .max]) != nil) }
  }

  @Test func twoBlocksAtOnePlace() throws {
    let contents = try Self.sound()
    let store = VHDBench.copy(contents)
    let sector = try VHDStructure(reading: store).table[0]
    #expect(try table([sector, sector, .max, .max])?.structure == "block allocation table entry 1")
    #expect(try table([sector, .max, .max, sector + 1])?.structure == "block allocation table entry 3")
  }

  @Test func unknownTypesAndVersions() throws {
    var contents = try Self.sound()
    var bytes = BigEndianBytes(try #require(contents.bytes(at: 0, count: 512)))
    for (value, offset) in [(UInt32(0), 60), (1, 60), (5, 60), (.max, 60), (0x0002_0000, 12), (0, 12)] {
      var changed = bytes
      changed.write(value, at: offset)
      changed.write(changed.checksum(except: 64), at: 64)
      contents.write(changed.bytes, at: 0)
      contents.write(changed.bytes, at: contents.byteCount - 512)
      #expect(refusal(contents) != nil)
    }
    bytes.bytes = []
  }

  @Test func parentLocatorsOfAnyKind() throws {
    let parent = try VHDImage(try VHDBench.make(.dynamic, 1 << 20))
    let store = try VHDBench.make(.differencing, 1 << 20, parent: parent)
    let bytes = try #require(store.contents.bytes(at: 512, count: 1024))
    let sound = try VHDDynamicHeader(decoding: bytes, diskSize: 1 << 20)
    for offset: UInt64 in [0, 1, 511, 1536, 1 << 40, 1 << 63, .max] {
      for length: UInt32 in [1, 3, 65536, 65537, .max] {
        var header = sound
        header.locators[0].dataOffset = offset
        header.locators[0].dataLength = length
        var contents = store.contents
        contents.write(header.encoded(), at: 512)
        #expect(refusal(contents) != nil, "\(offset) \(length)")
      }
    }
  }

  /// What a guest writes is data, wherever it writes it: the file stays what it is.
  @Test func footersWrittenByTheGuest() throws {
    let forged = VHDFooter(
      kind: .dynamic, size: 1 << 20, identifier: VHDIdentifier(high: 6, low: 6), timestamp: VHDTimestamp(rawValue: 0))
    for kind in [ImageKind.fixed, .dynamic] {
      let store = try VHDBench.make(kind, 1 << 20)
      let image = try VHDImage(store)
      for offset: UInt64 in [0, 512, (1 << 20) - 512] { try image.write(forged.encoded(), at: offset) }
      try image.close()
      let again = try VHDImage(VHDBench.copy(store.contents))
      #expect(again.information.kind == kind && again.notes.isEmpty)
      #expect(again.information.identifier == image.information.identifier)
      #expect(try again.bytes(at: (1 << 20) - 512, count: 512) == forged.encoded())
    }
  }

  @Test func readingAChildWithoutItsParentIsAnError() throws {
    let parent = try VHDImage(try VHDBench.make(.dynamic, 1 << 20))
    let store = try VHDBench.make(.differencing, 1 << 20, parent: parent)
    let image = try VHDImage(store)
    #expect(image.information.parent?.paths == [".\\parent.vhd", "\\disks\\parent.vhd", "parent.vhd"])
    #expect(throws: ImageError.self) { try image.bytes(at: 0, count: 512) }
  }

  @Test func aShorterFileWhileItIsOpen() throws {
    let store = VHDBench.copy(try Self.sound())
    let image = try VHDImage(store)
    try store.setByteCount(4096)
    #expect(throws: ImageError.self) { try image.bytes(at: 1 << 19, count: 512) }
  }
}
