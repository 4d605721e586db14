// SPDX-License-Identifier: Apache-2.0

import StoreDoubles
import Testing
import VMBus

@testable import VirtualDisks

/// What a change of size finds in the block table, and what a power failure afterwards leaves of it.
@Suite struct VHDXResizeTests {
  private static let block: UInt64 = 1 << 20
  private static let table: UInt64 = 3 << 20

  private static func made(_ kind: ImageKind, blocks: UInt64) throws -> CrashStore {
    let store = CrashStore(name: "disk.vhdx")
    var creation = VHDXCreation(kind: kind, virtualByteCount: blocks * block, blockByteCount: UInt32(block))
    if kind == .differencing {
      creation.parent = .init(identifier: GUID(low: 1, high: 2), relativePath: ".\\base.vhdx", absolutePath: nil)
    }
    try VHDXImage.create(creation, in: store)
    return store
  }

  private static func open(_ store: CrashStore) throws -> VHDXImage {
    try VHDXImage(VHDXStructure(reading: store), parent: nil)
  }

  /// Found by the fuzzer: an entry behind the end of a differencing disk, of a state that no block may have, came into use
  /// when the disk grew, and then the image did not open any more.
  @Test(arguments: [ImageKind.dynamic, .differencing])
  func `rubbish behind the end of the disk does not come into use when it grows`(_ kind: ImageKind) throws {
    var contents = try Self.made(kind, blocks: 8).contents
    for (index, entry) in [(8, 5), (9, 3 | 7 << 20), (4095, 4)] as [(UInt64, UInt64)] {
      var bytes = [UInt8](repeating: 0, count: 8)
      bytes.setLittle(entry, at: 0)
      contents.write(bytes, at: Self.table + index * 8)
    }
    let store = CrashStore(contents, name: "disk.vhdx")
    let image = try Self.open(store)
    try image.write([UInt8](repeating: 1, count: Int(Self.block)), at: 0)
    try image.resize(to: 5000 * Self.block)
    try image.write([UInt8](repeating: 2, count: Int(Self.block)), at: 8 * Self.block)
    try image.close()
    let again = try Self.open(CrashStore(store.contents))
    #expect(try again.bytes(at: 0, count: 512) == [UInt8](repeating: 1, count: 512))
    #expect(try again.bytes(at: 8 * Self.block, count: 512) == [UInt8](repeating: 2, count: 512))
  }

  /// The bitmap's entry is the last of its chunk, behind those of blocks that do not exist yet.
  @Test func `the sector bitmap of the last chunk stays when a differencing disk grows`() throws {
    let store = try Self.made(.differencing, blocks: 8)
    let image = try Self.open(store)
    try image.write([UInt8](repeating: 3, count: 512), at: 5 * Self.block)
    try image.resize(to: 20 * Self.block)
    try image.write([UInt8](repeating: 4, count: 512), at: 19 * Self.block)
    try image.close()
    let again = try Self.open(CrashStore(store.contents))
    #expect(try again.bytes(at: 5 * Self.block, count: 512) == [UInt8](repeating: 3, count: 512))
    #expect(try again.bytes(at: 19 * Self.block, count: 512) == [UInt8](repeating: 4, count: 512))
  }

  /// Entries that come into use are not logged: an older log entry that has the same page must not be replayed over them.
  @Test(arguments: [ImageKind.fixed, .dynamic])
  func `smaller, larger, written, and the power fails anywhere`(_ kind: ImageKind) throws {
    let store = CrashStore(try Self.made(kind, blocks: 8).contents)
    let image = try Self.open(store)
    try image.write([UInt8](repeating: 1, count: 512), at: 0)
    try image.resize(to: 4 * Self.block)
    let shrunk = store.journal.steps.count
    try image.resize(to: 12 * Self.block)
    let grown = store.journal.steps.count
    try image.write([UInt8](repeating: 2, count: 512), at: 6 * Self.block)
    try image.write([UInt8](repeating: 2, count: 512), at: 10 * Self.block)
    try image.flush()
    let written = store.journal.steps.count
    // A flush that finds nothing changed in the metadata adds nothing to the log.
    try image.flush()
    try image.close()

    var walk = CrashJournal.Walk(store.journal)
    var generator = SeededGenerator(3)
    for point in 0...store.journal.steps.count {
      walk.advance(to: point)
      for loss in CrashJournal.Loss.allCases {
        let survivors = CrashJournal.survivors(walk.contents, pending: walk.pending, loss, using: &generator)
        let found = try Self.open(CrashStore(survivors))
        let blocks = found.information.virtualByteCount / Self.block
        if point >= grown { try #require(blocks == 12) } else if point >= shrunk { try #require(blocks != 8) }
        guard point >= shrunk else { continue }
        try #require(try found.bytes(at: 0, count: 512) == [UInt8](repeating: 1, count: 512))
        guard point >= written else { continue }
        for place: UInt64 in [6, 10] {
          try #require(try found.bytes(at: place * Self.block, count: 512) == [UInt8](repeating: 2, count: 512))
        }
      }
    }
  }
}
