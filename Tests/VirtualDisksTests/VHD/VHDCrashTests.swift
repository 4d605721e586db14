// SPDX-License-Identifier: Apache-2.0

import StoreDoubles
import Testing

@testable import VirtualDisks

/// Power failures: a script of writes and flushes, stopped after every flush and at random points, with what was not
/// flushed lost, cut, torn and reordered. `LIS_CRASH_POINTS` sets how many random points (of each kind, counting each sort
/// of loss) the dynamic and the differencing image are tried at, and the fixed one at a fifth of that.
@Suite struct VHDCrashTests {
  private static let size: UInt64 = 6 * 256 << 10
  private static let sectors = Int(size / 512)

  /// A sector's content: its number and the version that was written to it, over and over.
  private static func sector(_ number: Int, _ version: UInt32) -> [UInt8] {
    guard version > 0 else { return [UInt8](repeating: 0, count: 512) }
    var unit: [UInt8] = []
    for value in [UInt32(number), version] {
      for shift in [UInt32(0), 8, 16, 24] { unit.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }
    return (0..<64).flatMap { _ in unit }
  }

  private struct Script {
    /// After so many journal steps a flush had been acknowledged, and these versions were on the disk.
    var flushes: [(step: Int, versions: [UInt32])] = []
    /// Version `version` went to the sectors before the journal had `step` steps.
    var writes: [(begin: Int, sectors: Range<Int>, version: UInt32)] = []
  }

  @Test(arguments: [ImageKind.fixed, .dynamic, .differencing])
  func everyAcknowledgedFlushSurvives(kind: ImageKind) throws {
    var generator = SeededGenerator(42)
    var versions = [UInt32](repeating: 0, count: Self.sectors)
    var parent: VHDImage?
    if kind == .differencing {
      let store = try VHDBench.make(.dynamic, Self.size)
      let image = try VHDImage(store)
      for number in 0..<Self.sectors where number % 3 != 0 {
        versions[number] = 1
        try image.write(Self.sector(number, 1), at: UInt64(number) * 512)
      }
      try image.close()
      parent = try VHDImage(VHDBench.copy(store.contents, isReadOnly: true))
    }
    let start = try VHDBench.make(kind, Self.size, parent: parent)
    let store = VHDBench.copy(start.contents)
    let image = try VHDImage(store, parent: parent)
    var script = Script()
    script.flushes.append((0, versions))
    var version: UInt32 = 1
    for _ in 0..<500 {
      if Int.random(in: 0..<8, using: &generator) == 0 {
        try image.flush()
        script.flushes.append((store.journal.steps.count, versions))
        continue
      }
      let first = Int.random(in: 0..<Self.sectors, using: &generator)
      let range = first..<min(Self.sectors, first + Int.random(in: 1...24, using: &generator))
      let begin = store.journal.steps.count
      let isZero = Int.random(in: 0..<6, using: &generator) == 0
      version += 1
      if isZero {
        try image.writeZeroes(at: UInt64(first) * 512, count: UInt64(range.count) * 512)
      } else {
        try image.write(range.flatMap { Self.sector($0, version) }, at: UInt64(first) * 512)
      }
      for number in range { versions[number] = isZero ? 0 : version }
      script.writes.append((begin, range, isZero ? 0 : version))
    }
    let journal = store.journal
    var points = Set(journal.flushBoundaries.flatMap { [$0 - 1, $0] })
    let wanted = VHDXCrashTests.randomPoints / (kind == .fixed ? 5 : 1)
    // The script has fewer steps than that: a point that comes again is another failure.
    var again: [Int: Int] = [:]
    for _ in 0..<wanted / CrashJournal.Loss.allCases.count {
      let point = Int.random(in: 0...journal.steps.count, using: &generator)
      points.insert(point)
      again[point, default: 0] += 1
    }
    var walk = CrashJournal.Walk(journal)
    for point in points.sorted() {
      walk.advance(to: point)
      for loss in CrashJournal.Loss.allCases {
        for _ in 0..<max(1, again[point] ?? 1) {
          let survivors = CrashJournal.survivors(walk.contents, pending: walk.pending, loss, using: &generator)
          try check(survivors, parent, script, point, loss)
        }
      }
    }
  }

  private func check(
    _ contents: SparseBytes, _ parent: VHDImage?, _ script: Script, _ point: Int, _ loss: CrashJournal.Loss
  ) throws {
    let image = try VHDImage(VHDBench.copy(contents), parent: parent)
    let flushed = try #require(script.flushes.last { $0.step <= point })
    let disk = try image.bytes(at: 0, count: Int(Self.size))
    let later = script.writes.filter { $0.begin >= flushed.step && $0.begin < point }
    var bad: [Int] = []
    for number in 0..<Self.sectors {
      func holds(_ version: UInt32) -> Bool {
        // First and last bytes stand for all: sectors are not torn.
        let expected = version == 0 ? (UInt32(0), UInt32(0)) : (UInt32(number), version)
        return word(disk, number * 512) == expected.0 && word(disk, number * 512 + 508) == expected.1
      }
      if holds(flushed.versions[number]) { continue }
      if later.contains(where: { $0.sectors.contains(number) && holds($0.version) }) { continue }
      bad.append(number)
    }
    #expect(bad.isEmpty, "after \(point) steps, \(loss)")
    // It goes on from there.
    try image.write(Self.sector(5, 99999), at: 5 * 512)
    try image.flush()
    #expect(try image.bytes(at: 5 * 512, count: 512) == Self.sector(5, 99999))
  }

  private func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
    UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16 | UInt32(bytes[offset + 3])
      << 24
  }

  /// The larger or smaller disk is there or it is not, and what was on it stays.
  @Test(arguments: [ImageKind.dynamic, .differencing])
  func resizeIsAllOrNothing(kind: ImageKind) throws {
    let parent = kind == .differencing ? try VHDImage(try VHDBench.make(.dynamic, 1 << 20)) : nil
    let start = try VHDBench.make(kind, 1 << 20, parent: parent)
    let image = try VHDImage(start, parent: parent)
    try image.write(Self.sector(2047, 5), at: (1 << 20) - 512)
    try image.close()
    let store = VHDBench.copy(start.contents)
    let resized = try VHDImage(store, parent: parent)
    for size: UInt64 in [(1 << 20) + 4096, 300 << 20, 1 << 20] { try resized.resize(to: size) }
    let journal = store.journal
    var generator = SeededGenerator(1)
    var walk = CrashJournal.Walk(journal)
    for point in 0...journal.steps.count {
      walk.advance(to: point)
      for loss in CrashJournal.Loss.allCases {
        for _ in 0..<4 {
          let contents = CrashJournal.survivors(walk.contents, pending: walk.pending, loss, using: &generator)
          let again = try VHDImage(VHDBench.copy(contents), parent: parent)
          let size = again.information.virtualByteCount
          #expect([1 << 20, (1 << 20) + 4096, 300 << 20].contains(size))
          #expect(try again.bytes(at: (1 << 20) - 512, count: 512) == Self.sector(2047, 5))
          if size > 1 << 20 { #expect(try again.firstData(in: 1 << 20..<size) == nil) }
        }
      }
    }
  }
}
