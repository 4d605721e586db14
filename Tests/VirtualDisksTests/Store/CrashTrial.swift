// SPDX-License-Identifier: Apache-2.0

import Glibc
import StoreDoubles
import VirtualDisks

/// A script of writes, discards and flushes on an image over a store that keeps a journal; then, for a power failure at
/// any point of the journal, what each sector may show.
///
/// Every sector that is written carries its own number and the number of the write, so a sector that shows another's data,
/// an old version, or half of one is found out. Sectors come in groups, which are all that the script touches.
struct CrashTrial {
  typealias Opener = (any ByteStore) throws -> any DiskImage

  struct Violation: Error, CustomStringConvertible { var description: String }

  static let sector = 512
  private static let groupSectors = 16

  let open: Opener
  private let image: any DiskImage
  private let store: CrashStore
  private let groups: [UInt64]
  /// What a group's sectors hold before the script; 0: zeroes.
  private let initial: UInt64
  private var generator: SeededGenerator
  private var stamp: UInt64 = 0
  /// What the script did, with the journal's length when it began and ended.
  private var events: [Event] = []
  private var lastFlushed = false

  private struct Event {
    enum Kind {
      /// `stamp` 0: zeroes.
      case content(sectors: Range<Int>, stamp: UInt64)
      case flush
    }
    var kind: Kind
    var begin: Int
    var end: Int
  }

  /// `groups`: byte offsets of runs of 16 sectors. `parentStamp`: what they hold before the script.
  init(
    _ store: CrashStore, groups: [UInt64], parentStamp: UInt64 = 0, seed: UInt64, open: @escaping Opener
  ) throws {
    self.open = open
    self.store = store
    self.groups = groups
    initial = parentStamp
    generator = SeededGenerator(seed)
    image = try open(store)
  }

  var journal: CrashJournal { store.journal }

  static func content(sector: UInt64, stamp: UInt64) -> [UInt8] {
    guard stamp != 0 else { return [UInt8](repeating: 0, count: Self.sector) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.sector)
    for _ in 0..<Self.sector / 16 {
      for value in [stamp, sector] {
        for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
      }
    }
    return bytes
  }

  /// `count` operations, about one in six of them a flush.
  mutating func run(_ count: Int, discards: Bool = true, blockByteCount: UInt64) throws {
    for _ in 0..<count {
      let begin = store.journal.steps.count
      switch Int.random(in: 0..<12, using: &generator) {
      case 0, 1:
        try image.flush()
        record(.flush, begin)
      case 2 where discards, 3 where discards:
        let block = groups.randomElement(using: &generator)! / blockByteCount
        let size = image.information.virtualByteCount
        let offset = block * blockByteCount
        let length = min(blockByteCount * UInt64.random(in: 1...2, using: &generator), size - offset)
        if Bool.random(using: &generator) {
          try image.discard(at: offset, count: length)
        } else {
          try image.writeZeroes(at: offset, count: length)
        }
        zero(offset..<offset + length, begin)
      default:
        let group = Int.random(in: groups.indices, using: &generator)
        let first = Int.random(in: 0..<Self.groupSectors, using: &generator)
        let length = Int.random(in: 1...Self.groupSectors - first, using: &generator)
        stamp += 1
        let start = groups[group] / UInt64(Self.sector) + UInt64(first)
        var bytes: [UInt8] = []
        for index in 0..<length { bytes += Self.content(sector: start + UInt64(index), stamp: stamp) }
        try image.write(bytes, at: start * UInt64(Self.sector))
        let sectors = group * Self.groupSectors + first..<group * Self.groupSectors + first + length
        record(.content(sectors: sectors, stamp: stamp), begin)
      }
    }
  }

  mutating func close() throws {
    let begin = store.journal.steps.count
    try image.close()
    record(.flush, begin)
  }

  private mutating func zero(_ range: Range<UInt64>, _ begin: Int) {
    for (index, group) in groups.enumerated() where range.contains(group) {
      record(.content(sectors: index * Self.groupSectors..<(index + 1) * Self.groupSectors, stamp: 0), begin)
    }
  }

  private mutating func record(_ kind: Event.Kind, _ begin: Int) {
    events.append(Event(kind: kind, begin: begin, end: store.journal.steps.count))
  }

  /// Lets the power fail at each of `points` (lengths of the journal, ascending), with each of `losses`, and looks at what
  /// an opened image shows. `visit` sees each set of surviving contents as well. Returns how many were looked at.
  func check(
    points: [Int], losses: [CrashJournal.Loss], seed: UInt64,
    visit: (SparseBytes, inout SeededGenerator) throws -> Void = { _, _ in }
  ) throws -> Int {
    var generator = SeededGenerator(seed)
    var walk = CrashJournal.Walk(store.journal)
    var next = 0
    // For each sector: what is durable, and what may have replaced it.
    var durable = [UInt64](repeating: initial, count: groups.count * Self.groupSectors)
    var possible = [[UInt64]](repeating: [], count: durable.count)
    var latest = durable
    var done = 0
    for point in points {
      walk.advance(to: point)
      while next < events.count, events[next].end <= point {
        apply(events[next], &durable, &possible, &latest)
        next += 1
      }
      // What was under way when the power failed may or may not be there.
      var maybe = possible
      var index = next
      while index < events.count, events[index].begin < point {
        if case .content(let sectors, let stamp) = events[index].kind {
          for sector in sectors { maybe[sector].append(stamp) }
        }
        index += 1
      }
      for loss in losses {
        let survivors = CrashJournal.survivors(walk.contents, pending: walk.pending, loss, using: &generator)
        do {
          try compare(try open(CrashStore(survivors, name: "survivor")), durable, maybe)
          try visit(survivors, &generator)
        } catch {
          throw Violation(description: "power failure after step \(point) of the journal, \(loss): \(error)")
        }
        done += 1
      }
    }
    return done
  }

  private func apply(
    _ event: Event, _ durable: inout [UInt64], _ possible: inout [[UInt64]], _ latest: inout [UInt64]
  ) {
    switch event.kind {
    case .flush:
      durable = latest
      for index in possible.indices where !possible[index].isEmpty { possible[index] = [] }
    case .content(let sectors, let stamp):
      for sector in sectors {
        latest[sector] = stamp
        possible[sector].append(stamp)
      }
    }
  }

  private func compare(_ image: any DiskImage, _ durable: [UInt64], _ possible: [[UInt64]]) throws {
    for (group, offset) in groups.enumerated() {
      let bytes = try image.bytes(at: offset, count: Self.groupSectors * Self.sector)
      for index in 0..<Self.groupSectors {
        let place = group * Self.groupSectors + index
        let number = offset / UInt64(Self.sector) + UInt64(index)
        let start = index * Self.sector
        let allowed = [durable[place]] + possible[place]
        if let stamp = Self.stamp(bytes, at: start, sector: number), allowed.contains(stamp) { continue }
        let shown = Self.describe(Array(bytes[start..<start + Self.sector]))
        throw Violation(description: "sector \(number) shows \(shown), not one of the writes \(allowed)")
      }
    }
  }

  /// The write whose `content` a sector shows, whole.
  private static func stamp(_ bytes: [UInt8], at start: Int, sector: UInt64) -> UInt64? {
    unsafe bytes.withUnsafeBytes { bytes in
      let unit = 16
      let shown = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<start + Self.sector])
      guard let base = shown.baseAddress, unsafe memcmp(base, base + unit, Self.sector - unit) == 0 else { return nil }
      let stamp = UInt64(littleEndian: unsafe shown.loadUnaligned(as: UInt64.self))
      let number = UInt64(littleEndian: unsafe shown.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      return number == (stamp == 0 ? 0 : sector) ? stamp : nil
    }
  }

  private static func describe(_ bytes: [UInt8]) -> String {
    func word(_ offset: Int) -> UInt64 {
      (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }
    let whole = content(sector: word(8), stamp: word(0)) == bytes
    return whole ? "write \(word(0)) of sector \(word(8))" : "a mixture that begins with write \(word(0)) of \(word(8))"
  }
}
