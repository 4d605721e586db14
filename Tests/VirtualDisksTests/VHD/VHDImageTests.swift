// SPDX-License-Identifier: Apache-2.0

import StoreDoubles
import Testing

@testable import VirtualDisks

@Suite struct VHDImageTests {
  private static let size: UInt64 = 5 * 256 << 10 + 1536

  @Test(arguments: ImageKind.allCases)
  func behavesLikeAnArray(kind: ImageKind) throws {
    var generator = SeededGenerator(UInt64(kind.rawValue.count))
    var shadow = [UInt8](repeating: 0, count: Int(Self.size))
    var parent: VHDImage?
    var parentContents = SparseBytes()
    if kind == .differencing {
      let store = try VHDBench.make(.dynamic, Self.size - 512 * 700)
      let image = try VHDImage(store)
      for _ in 0..<8 { try randomWrite(image, &shadow, limit: Self.size - 512 * 700, &generator) }
      try image.flush()
      parentContents = store.contents
      parent = try VHDImage(VHDBench.copy(parentContents, isReadOnly: true))
    }
    var store = try VHDBench.make(kind, Self.size, parent: parent)
    var image = try VHDImage(store, parent: parent)
    for step in 0..<200 {
      switch Int.random(in: 0..<12, using: &generator) {
      case 0: try image.flush()
      case 1:
        try image.flush()
        store = VHDBench.copy(store.contents)
        image = try VHDImage(store, parent: parent)
        #expect(image.notes.isEmpty)
      case 2:
        let (offset, count) = range(Self.size, &generator)
        try image.writeZeroes(at: offset, count: count)
        shadow.replaceSubrange(Int(offset)..<Int(offset + count), with: repeatElement(0, count: Int(count)))
      case 3 where kind != .differencing:
        let (offset, count) = range(Self.size, &generator)
        try image.discard(at: offset, count: count)
        shadow.replaceSubrange(Int(offset)..<Int(offset + count), with: repeatElement(0, count: Int(count)))
      case 4...7: try randomWrite(image, &shadow, limit: Self.size, &generator)
      default:
        let (offset, count) = range(Self.size, &generator)
        #expect(
          try image.bytes(at: offset, count: Int(count)) == Array(shadow[Int(offset)..<Int(offset + count)]), "\(step)")
      }
    }
    // With the image its parent is closed.
    try image.close()
    if parent != nil { parent = try VHDImage(VHDBench.copy(parentContents, isReadOnly: true)) }
    let again = try VHDImage(VHDBench.copy(store.contents, isReadOnly: true), parent: parent)
    #expect(try again.bytes(at: 0, count: shadow.count) == shadow)
  }

  private func range(_ size: UInt64, _ generator: inout SeededGenerator) -> (offset: UInt64, count: UInt64) {
    let offset = UInt64.random(in: 0..<size / 512, using: &generator) * 512
    let limit = min(size - offset, Bool.random(using: &generator) ? 4096 : 400 << 10)
    return (offset, UInt64.random(in: 1...limit / 512, using: &generator) * 512)
  }

  private func randomWrite(
    _ image: VHDImage, _ shadow: inout [UInt8], limit: UInt64, _ generator: inout SeededGenerator
  ) throws {
    let (offset, count) = range(limit, &generator)
    let bytes = [UInt8](repeating: UInt8.random(in: 1...255, using: &generator), count: Int(count))
    try image.write(bytes, at: offset)
    shadow.replaceSubrange(Int(offset)..<Int(offset + count), with: bytes)
  }

  @Test func growsAndShrinks() throws {
    for kind in ImageKind.allCases {
      let parent = kind == .differencing ? try VHDImage(try VHDBench.make(.dynamic, 1 << 20)) : nil
      let store = try VHDBench.make(kind, 1 << 20, parent: parent)
      let image = try VHDImage(store, parent: parent)
      try image.write([UInt8](repeating: 7, count: 512), at: (1 << 20) - 512)
      // Far enough that the table must move.
      for size: UInt64 in [(1 << 20) + 512, 3 << 20, 200 << 20] {
        try image.resize(to: size)
        #expect(image.information.virtualByteCount == size)
        let again = try VHDImage(VHDBench.copy(store.contents, isReadOnly: true), parent: parent)
        #expect(again.information.virtualByteCount == size && again.notes.isEmpty)
        #expect(
          try again.bytes(at: (1 << 20) - 512, count: 1024) == [UInt8](repeating: 7, count: 512)
            + VHDCodecTests.zeroes(512))
      }
      try image.write([UInt8](repeating: 9, count: 512), at: (200 << 20) - 512)
      #expect(throws: ImageError.self) { try image.resize(to: 100 << 20) }
      try image.writeZeroes(at: (200 << 20) - 512, count: 512)
      try image.resize(to: 1 << 20)
      try image.resize(to: 2 << 20)
      let again = try VHDImage(VHDBench.copy(store.contents, isReadOnly: true), parent: parent)
      #expect(try again.firstData(in: 1 << 20..<2 << 20) == nil)
      #expect(try again.firstData(in: 0..<1 << 20) == (1 << 20) - 512)
    }
  }

  @Test func aParentsDataDoesNotShowInAChildThatGrowsOverIt() throws {
    let parent = try VHDImage(try VHDBench.make(.dynamic, 2 << 20))
    try parent.write([UInt8](repeating: 1, count: 512), at: 3 << 19)
    let store = try VHDBench.make(.differencing, 1 << 20, parent: parent)
    let image = try VHDImage(store, parent: parent)
    #expect(throws: ImageError.self) { try image.resize(to: 2 << 20) }
    try image.resize(to: 3 << 19)
    #expect(image.information.virtualByteCount == 3 << 19)
  }

  @Test func extentsLeadToTheData() throws {
    let store = try VHDBench.make(.dynamic, 1 << 20)
    let image = try VHDImage(store)
    let empty = try image.extent(at: 512, count: (1 << 20) - 512, for: .read)
    guard case .zeroes = empty.place else { throw TestFailure("not zeroes") }
    #expect(empty.byteCount == (1 << 20) - 512)
    guard case .needsAllocation = try image.extent(at: 0, count: 512, for: .write).place else {
      throw TestFailure("allocated")
    }
    try image.write([UInt8](repeating: 3, count: 512), at: 1024)
    let extent = try image.extent(at: 1024, count: 1 << 19, for: .write)
    guard case .file(let file, let offset) = extent.place else { throw TestFailure("not in the file") }
    #expect(extent.byteCount == (256 << 10) - 1024)
    #expect(file === store && (offset - 1024) % 4096 == 0)
    #expect(store.contents.bytes(at: offset, count: 512) == [UInt8](repeating: 3, count: 512))
  }

  @Test func discardPunchesHoles() throws {
    let store = try VHDBench.make(.dynamic, 1 << 20)
    let image = try VHDImage(store)
    try image.write([UInt8](repeating: 3, count: 1 << 20), at: 0)
    try image.flush()
    let full = store.contents.allocatedByteCount
    try image.discard(at: 0, count: 1 << 19)
    #expect(full - store.contents.allocatedByteCount >= 1 << 19)
    #expect(try image.firstData(in: 0..<1 << 20) == 1 << 19)
  }

  @Test func writingTellsChildrenThatTheParentHasChanged() throws {
    let store = try VHDBench.make(.dynamic, 1 << 20)
    let before = try VHDImage(store).timestamp
    let image = try VHDImage(store)
    try image.flush()
    #expect(image.timestamp == before)
    try image.write([UInt8](repeating: 3, count: 512), at: 0)
    #expect(image.timestamp != before)
    #expect(try VHDImage(store).timestamp == image.timestamp)
  }

  @Test func readOnlyClosedAndOutOfRange() throws {
    let store = try VHDBench.make(.dynamic, 1 << 20)
    let reading = try VHDImage(VHDBench.copy(store.contents, isReadOnly: true))
    #expect(reading.information.isReadOnly)
    #expect(throws: ImageError.self) { try reading.write([UInt8](repeating: 0, count: 512), at: 0) }
    #expect(throws: ImageError.self) { try reading.writeZeroes(at: 0, count: 512) }
    #expect(throws: ImageError.self) { try reading.extent(at: 0, count: 512, for: .write) }
    #expect(throws: ImageError.self) { try reading.resize(to: 2 << 20) }
    let image = try VHDImage(store)
    for (offset, count) in [(1, 512), (0, 511), (1 << 20, 512), (1 << 20 - 512, 1024), (0, 0)] as [(UInt64, UInt64)] {
      #expect(throws: ImageError.self) { try image.extent(at: offset, count: count, for: .read) }
    }
    #expect(throws: ImageError.self) { try image.extent(at: .max - 511, count: 512, for: .read) }
    #expect(throws: ImageError.self) { try image.extent(at: 512, count: .max - 511, for: .read) }
    try image.close()
    try image.close()
    #expect(throws: ImageError.self) { try image.bytes(at: 0, count: 512) }
    #expect(throws: ImageError.self) { try image.flush() }
  }

  @Test(arguments: [true, false]) func noSpaceForAnythingAtAllIsWaitedFor(writesAgain: Bool) throws {
    let store = try VHDBench.make(.dynamic, 4 << 20)
    let faults = FaultStore(store)
    let image = try VHDImage(faults)
    let data = [UInt8](repeating: 7, count: 512)
    try image.write(data, at: 0)
    try image.flush()
    // As on file systems that need space to overwrite: the footer cannot go back where it was either.
    for operation in [StoreError.Operation.write, .resize] { faults.add(FaultStore.Fault(operation, .fail(.noSpace))) }
    for _ in 0..<3 {
      let error = try #require(throws: ImageError.self) { try image.write(data, at: 1 << 20) }
      #expect(error.isNoSpace)
    }
    #expect(!image.isPoisoned)
    // A failure now leaves what was durable.
    let cut = try VHDImage(VHDBench.copy(store.contents))
    #expect(try cut.bytes(at: 0, count: 512) == data)
    faults.clear()
    if writesAgain { try image.write(data, at: 1 << 20) }
    try image.close()
    let again = try VHDImage(VHDBench.copy(store.contents, isReadOnly: true))
    #expect(again.notes == [])
    #expect(try again.bytes(at: 0, count: 512) == data)
    if writesAgain { #expect(try again.bytes(at: 1 << 20, count: 512) == data) }
  }

  @Test func noSpaceLeavesTheImageSoundAndIsTriedAgain() throws {
    let base = try VHDBench.make(.dynamic, 1 << 20)
    for skip in 0..<4 {
      let faults = FaultStore(base)
      let image = try VHDImage(faults)
      try image.write([UInt8](repeating: 1, count: 512), at: 0)
      try image.flush()
      faults.add(FaultStore.Fault(.write, skip: skip, times: 1, .fail(.noSpace)))
      let block = UInt64(skip % 3 + 1) * 256 << 10
      do throws(ImageError) {
        try image.write([UInt8](repeating: 2, count: 512), at: block)
        #expect(skip == 3)
      } catch {
        #expect(error.isNoSpace)
        let again = try VHDImage(VHDBench.copy(base.contents, isReadOnly: true))
        #expect(try again.bytes(at: 0, count: 512) == [UInt8](repeating: 1, count: 512))
        try image.write([UInt8](repeating: 2, count: 512), at: block)
      }
      try image.flush()
      let again = try VHDImage(VHDBench.copy(base.contents, isReadOnly: true))
      #expect(try again.bytes(at: block, count: 512) == [UInt8](repeating: 2, count: 512))
    }
  }

  /// Found by the fuzzer: only the header's first sector is written when the table moves, and its checksum is over both.
  @Test func aLongerTableLeavesWhatOthersWroteIntoTheHeader() throws {
    let store = try VHDBench.make(.dynamic, 1 << 20)
    var contents = store.contents
    var sectors = BigEndianBytes(try #require(contents.bytes(at: 512, count: 1024)))
    sectors.write([7, 7, 7], at: 900)
    sectors.write(sectors.checksum(except: 36), at: 36)
    contents.write(sectors.bytes, at: 512)
    let strange = VHDBench.copy(contents)
    let image = try VHDImage(strange)
    try image.write([UInt8](repeating: 3, count: 512), at: 4096)
    try image.resize(to: 1 << 30)
    try image.close()
    let again = try VHDImage(VHDBench.copy(strange.contents))
    #expect(again.information.virtualByteCount == 1 << 30)
    #expect(try again.bytes(at: 4096, count: 512) == [UInt8](repeating: 3, count: 512))
    #expect(strange.contents.bytes(at: 512 + 900, count: 3) == [7, 7, 7])
  }
}

struct TestFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
