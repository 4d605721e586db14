// SPDX-License-Identifier: Apache-2.0

import Glibc
import StoreDoubles
import Testing
@testable import VirtualDisks

/// Power failures. `LIS_CRASH_POINTS` sets how many random points the dynamic and the differencing image are tried at, and
/// the fixed one at a fifth of that; scripts/crash-points does it with 10,000 in a release build.
@Suite(.serialized) struct VHDXCrashTests {
  static let block: UInt64 = 1 << 20
  /// Three runs of sectors in each of twelve blocks: at the start, in the middle, at the end.
  static let groups: [UInt64] = (0..<12).flatMap { number -> [UInt64] in
    [0, block / 2 + 4096, block - 8192].map { UInt64(number) * block + $0 }
  }
  static let parentStamp: UInt64 = 1 << 40

  static var randomPoints: Int {
    guard let text = unsafe getenv("LIS_CRASH_POINTS") else { return 600 }
    return Int(unsafe String(cString: text)) ?? 600
  }

  static func trial(_ kind: ImageKind, seed: UInt64) throws -> CrashTrial {
    let store = CrashStore()
    guard kind == .differencing else {
      var creation = VHDXCreation(kind: kind, virtualByteCount: 12 * block, blockByteCount: UInt32(block))
      creation.reservesSpace = false
      try VHDXImage.create(creation, in: store)
      let fresh = CrashStore(store.contents)
      return try CrashTrial(fresh, groups: groups, seed: seed) { try VHDXImage(opening: $0) }
    }
    let base = CrashStore(name: "base")
    try VHDXImage.create(.init(kind: .dynamic, virtualByteCount: 12 * block, blockByteCount: UInt32(block)), in: base)
    let parent = try VHDXImage(opening: base)
    for group in groups {
      let first = group / 512
      for sector in first..<first + 16 {
        try parent.write(CrashTrial.content(sector: sector, stamp: parentStamp), at: sector * 512)
      }
    }
    try parent.close()
    let information = try VHDXStructure(reading: base, readOnly: true).information
    let creation = VHDXCreation(
      childOf: information, relativePath: ".\\base.vhdx", absolutePath: nil, blockByteCount: UInt32(block))
    try VHDXImage.create(creation, in: store)
    let contents = base.contents
    let fresh = CrashStore(store.contents)
    return try CrashTrial(fresh, groups: groups, parentStamp: parentStamp, seed: seed) { store in
      try VHDXImage(opening: store) { (_: ParentReference) throws(ImageError) in
        try VHDXImage(opening: CrashStore(contents, name: "base"), readOnly: true)
      }
    }
  }

  @Test(arguments: [ImageKind.dynamic, .differencing, .fixed])
  func `after every flush boundary everything acknowledged is there`(_ kind: ImageKind) throws {
    var trial = try Self.trial(kind, seed: 7)
    try trial.run(500, discards: kind != .fixed, blockByteCount: Self.block)
    try trial.close()
    let boundaries = trial.journal.flushBoundaries
    let count = try trial.check(points: boundaries, losses: [.everything], seed: 1)
    #expect(count == boundaries.count && count > 80)
  }

  @Test(arguments: [ImageKind.dynamic, .differencing, .fixed])
  func `at random points, with lost, reordered and torn writes`(_ kind: ImageKind) throws {
    var trial = try Self.trial(kind, seed: 11)
    try trial.run(500, discards: kind != .fixed, blockByteCount: Self.block)
    try trial.close()
    let steps = trial.journal.steps.count
    var generator = SeededGenerator(5)
    let wanted = kind == .fixed ? Self.randomPoints / 5 : Self.randomPoints
    var points = (0..<wanted / 4).map { _ in Int.random(in: 0...steps, using: &generator) }
    // A parent shows through for a short time only: each step of it.
    if kind == .differencing { points += 0...min(steps, 160) }
    points.sort()
    let count = try trial.check(points: points, losses: [.suffix, .some, .reordered, .torn], seed: 2)
    #expect(count == points.count * 4)
  }

  @Test(arguments: [ImageKind.dynamic, .differencing])
  func `replay cut anywhere, and repeated, gives the same`(_ kind: ImageKind) throws {
    var trial = try Self.trial(kind, seed: 13)
    try trial.run(150, blockByteCount: Self.block)
    let steps = trial.journal.steps.count
    var generator = SeededGenerator(17)
    let points = (0..<20).map { _ in Int.random(in: 10...steps, using: &generator) }.sorted()
    var replays = 0
    _ = try trial.check(points: points, losses: [.torn], seed: 3) { survivors, generator in
      // What the metadata says, read with the log in memory, is the truth that every other way must come to.
      let truth = try Self.metadata(survivors)
      let once = CrashStore(survivors)
      _ = try VHDXStructure(reading: once)
      let journal = once.journal
      try #require(try Self.metadata(once.contents) == truth)
      for _ in 0..<4 {
        var walk = CrashJournal.Walk(journal)
        walk.advance(to: Int.random(in: 0...journal.steps.count, using: &generator))
        let cut = CrashJournal.survivors(walk.contents, pending: walk.pending, .torn, using: &generator)
        try #require(try Self.metadata(cut) == truth)
        let again = CrashStore(cut)
        _ = try VHDXStructure(reading: again)
        try #require(try Self.metadata(again.contents) == truth)
        replays += 1
      }
    }
    #expect(replays == 80)
  }

  /// The block table and every sector bitmap, as a reader sees them who changes nothing.
  private static func metadata(_ contents: SparseBytes) throws -> [UInt8] {
    let store = CrashStore(contents, isReadOnly: true)
    let structure = try VHDXStructure(reading: store, readOnly: true)
    let geometry = structure.metadata.geometry
    let table = try structure.store.bytes(
      at: structure.regions.blockTable.lowerBound, count: Int(geometry.tableByteCount))
    var result = table
    guard geometry.hasParent else { return result }
    for chunk in 0..<geometry.chunkCount {
      let entry = VHDXBlockEntry(
        rawValue: table.little(UInt64.self, at: Int(geometry.entryIndex(ofChunk: chunk)) * 8))
      if entry.state.hasSpace { result += try structure.store.bytes(at: entry.offset, count: 1 << 20) }
    }
    return result
  }
}
