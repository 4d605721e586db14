// SPDX-License-Identifier: Apache-2.0

import Glibc
import StoreDoubles
import Testing
@testable import VirtualDisks

/// Power failures. `LIS_CRASH_POINTS` sets how many random points the dynamic and the differencing image are tried at, and
/// the fixed one at a fifth of that; scripts/crash-points does it with 10,000 in a release build.
@Suite(.serialized) struct VHDXCrashTests {
  static let block: UInt64 = 1 << 20
  /// Pairs of blocks, so far apart that their entries lie in two pages of the block table and their bits in six pages of
  /// the sector bitmap. What comes too early into a page is undone by replay as long as the log has the page, so not every
  /// log entry may have every page.
  static let blocks: [UInt64] = stride(from: 0, to: 6 * 112, by: 112).flatMap { [$0, $0 + 1] }
  static let virtualByteCount = 562 * block
  /// Three runs of sectors in each of the blocks: at the start, in the middle, at the end.
  static let groups: [UInt64] = blocks.flatMap { number -> [UInt64] in
    [0, block / 2 + 4096, block - 8192].map { number * block + $0 }
  }
  static let parentStamp: UInt64 = 1 << 40

  static var randomPoints: Int {
    guard let text = unsafe getenv("LIS_CRASH_POINTS") else { return 600 }
    return Int(unsafe String(cString: text)) ?? 600
  }

  static func trial(_ kind: ImageKind, seed: UInt64, punchesHoles: Bool = true) throws -> CrashTrial {
    let store = CrashStore()
    guard kind == .differencing else {
      var creation = VHDXCreation(kind: kind, virtualByteCount: virtualByteCount, blockByteCount: UInt32(block))
      creation.reservesSpace = false
      try VHDXImage.create(creation, in: store)
      let fresh = CrashStore(store.contents, punchesHoles: punchesHoles)
      return try CrashTrial(fresh, groups: groups, seed: seed) { try VHDXImage(opening: $0) }
    }
    let base = CrashStore(name: "base")
    try VHDXImage.create(
      .init(kind: .dynamic, virtualByteCount: virtualByteCount, blockByteCount: UInt32(block)), in: base)
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
    let fresh = CrashStore(store.contents, punchesHoles: punchesHoles)
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
    // So is the end: metadata in place, a header, the file cut.
    points += max(0, steps - 12)...steps
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

  @Test(arguments: [ImageKind.dynamic, .differencing])
  func `used space shows nothing of its past where no holes can be punched`(_ kind: ImageKind) throws {
    var trial = try Self.trial(kind, seed: 23, punchesHoles: false)
    try trial.run(120, blockByteCount: Self.block)
    let journal = trial.journal
    // Zeroes are written instead of punched, before data; that this happens at all is part of the test.
    let clearings = journal.steps.count { if case .write(_, let bytes) = $0 { bytes.count > 8192 } else { false } }
    #expect(clearings > 0)
    var generator = SeededGenerator(29)
    let random = (0..<Self.randomPoints / 20).map { _ in Int.random(in: 0...journal.steps.count, using: &generator) }
    let points = (journal.flushBoundaries + random).sorted()
    _ = try trial.check(points: points, losses: [.everything, .some, .torn], seed: 4)
  }

  /// The first header of a new owner says that its log counts and that the data are others than before: neither may be
  /// found without it, also when the log of the owner before still counted.
  @Test(arguments: [ImageKind.dynamic, .differencing])
  func `the power fails again when an image is written to that was replayed`(_ kind: ImageKind) throws {
    var trial = try Self.trial(kind, seed: 31)
    try trial.run(40, blockByteCount: Self.block)
    let open = trial.open
    let points = Array(0...12) + [trial.journal.steps.count]
    _ = try trial.check(points: points, losses: [.suffix], seed: 5) { survivors, generator in
      let found = try open(CrashStore(survivors))
      let group = try #require(Self.groups.randomElement(using: &generator))
      let old = try found.bytes(at: group, count: 512)
      let new = CrashTrial.content(sector: group / 512, stamp: 1 << 50)
      let store = CrashStore(survivors)
      let image = try open(store)
      try image.write(new, at: group)
      // Its first commit is its last: pages that need one another are on their way when the header says that all is done.
      try image.close()
      var walk = CrashJournal.Walk(store.journal)
      for point in 0...store.journal.steps.count {
        walk.advance(to: point)
        for loss in [CrashJournal.Loss.some, .torn] {
          let left = CrashJournal.survivors(walk.contents, pending: walk.pending, loss, using: &generator)
          let again = try open(CrashStore(left))
          let shown = try again.bytes(at: group, count: 512)
          try #require(shown == old || shown == new)
          if shown == new { try #require(again.information.identifier != found.information.identifier) }
        }
      }
      try #require(try open(CrashStore(walk.contents)).bytes(at: group, count: 512) == new)
    }
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
