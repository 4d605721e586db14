// SPDX-License-Identifier: Apache-2.0

/// Pages of metadata in memory: entries of the block table and sector bitmaps, as 64-bit words by their place in the file.
///
/// Bounded: pages that hold no change are dropped when there are too many. A changed page stays until it is logged and
/// written in place, so the owner bounds the number of changed ones by committing in time.
struct VHDXPageCache: Sendable {
  private struct Slot: Sendable {
    var number: UInt64
    /// Differs from what the log and the file hold.
    var isChanged = false
    /// Logged or being logged, not yet in place.
    var isLogged = false
    /// Looked at since the hand last passed.
    var isWarm = true
  }

  static let wordCount = 512
  private var index: [UInt64: Int] = [:]
  private var slots: [Slot] = []
  private var words: [UInt64] = []
  private var hand = 0
  private var last: (number: UInt64, slot: Int) = (.max, 0)
  /// Numbers of changed pages.
  private(set) var changed: [UInt64] = []
  private let limit: Int

  /// 16 MiB of pages unless told otherwise: the whole block table of a 64 TiB disk with 32 MiB blocks.
  init(limit: Int = 4096) { self.limit = limit }

  /// The word at byte `offset` of the file, a multiple of 8.
  mutating func word(at offset: UInt64, in store: any ByteStore) throws(ImageError) -> UInt64 {
    let slot = try slot(of: offset / VHDXFormat.pageByteCount, in: store)
    return words[slot * Self.wordCount + Int(offset / 8) % Self.wordCount]
  }

  mutating func setWord(_ value: UInt64, at offset: UInt64, in store: any ByteStore) throws(ImageError) {
    let number = offset / VHDXFormat.pageByteCount
    let slot = try slot(of: number, in: store)
    let place = slot * Self.wordCount + Int(offset / 8) % Self.wordCount
    guard words[place] != value else { return }
    words[place] = value
    if !slots[slot].isChanged {
      slots[slot].isChanged = true
      changed.append(number)
    }
  }

  private mutating func slot(of number: UInt64, in store: any ByteStore) throws(ImageError) -> Int {
    if last.number == number { return last.slot }
    if let slot = index[number] {
      slots[slot].isWarm = true
      last = (number, slot)
      return slot
    }
    let page = try store.load("metadata", at: number * VHDXFormat.pageByteCount, count: Int(VHDXFormat.pageByteCount))
    let slot = victim()
    if slot == slots.count {
      slots.append(Slot(number: number))
      words += repeatElement(0, count: Self.wordCount)
    } else {
      index[slots[slot].number] = nil
      slots[slot] = Slot(number: number)
    }
    let base = slot * Self.wordCount
    for word in 0..<Self.wordCount { words[base + word] = page.little(UInt64.self, at: word * 8) }
    index[number] = slot
    last = (number, slot)
    return slot
  }

  /// A slot to load into: a new one below the limit, else one that nobody needs, else a new one after all.
  private mutating func victim() -> Int {
    guard slots.count >= limit else { return slots.count }
    for _ in 0..<2 * slots.count {
      hand = (hand + 1) % slots.count
      if slots[hand].isChanged || slots[hand].isLogged { continue }
      if !slots[hand].isWarm { return hand }
      slots[hand].isWarm = false
    }
    return slots.count
  }

  /// Copies of all changed pages in the order of the file; from now on they count as logged.
  mutating func takeChanged() -> [VHDXLogPage] {
    var result: [VHDXLogPage] = []
    result.reserveCapacity(changed.count)
    for number in changed.sorted() {
      guard let slot = index[number] else { continue }
      slots[slot].isChanged = false
      slots[slot].isLogged = true
      var bytes = [UInt8](repeating: 0, count: Int(VHDXFormat.pageByteCount))
      for word in 0..<Self.wordCount { bytes.setLittle(words[slot * Self.wordCount + word], at: word * 8) }
      result.append(VHDXLogPage(offset: number * VHDXFormat.pageByteCount, bytes: bytes))
    }
    changed.removeAll(keepingCapacity: true)
    return result
  }

  /// The log did not take them: they are changed as before.
  mutating func putBack(_ pages: [VHDXLogPage]) {
    for page in pages {
      let number = page.offset / VHDXFormat.pageByteCount
      guard let slot = index[number] else { continue }
      slots[slot].isLogged = false
      if !slots[slot].isChanged {
        slots[slot].isChanged = true
        changed.append(number)
      }
    }
  }

  /// They are in place: what a reader of the file finds there is no older than the log.
  mutating func markInPlace(_ pages: [VHDXLogPage]) {
    for page in pages {
      if let slot = index[page.offset / VHDXFormat.pageByteCount] { slots[slot].isLogged = false }
    }
  }

  /// Forgets everything; only when nothing is changed or logged.
  mutating func removeAll() {
    index.removeAll()
    slots.removeAll()
    words.removeAll()
    last = (.max, 0)
    hand = 0
  }
}
