// SPDX-License-Identifier: Apache-2.0

/// Who has which part of the file, in MiB, and where new blocks come from.
///
/// A freed block becomes usable in steps, so that no failure shows one block's data in another: its entry's change is
/// durable in the log (`freed` → `quarantined`), the I/O that may still be under way on it has ended (leases), its space
/// has been punched (`punched`), and the punching is durable (`clean`). Gaps found in the file go the same way from the
/// third step on. New space at the end of the file is clean by itself: a file that grows reads as zeroes there.
struct VHDXSpace: Sendable {
  struct Piece: Equatable, Sendable {
    var offset: UInt64
    var byteCount: UInt64
  }

  private let blockByteCount: UInt64
  /// A bit per MiB: in use, or in one of the lists below.
  private var taken: [UInt64] = []
  /// The file's size as far as we set it.
  private(set) var endOfFile: UInt64
  /// Where the file was handed out up to.
  private var next: UInt64
  /// How far the search for gaps has come, and where it ends.
  private var gapCursor: UInt64 = 0
  private var gapLimit: UInt64 = 0
  private var wantsGaps = false

  private var clean: [Piece] = []
  /// Free, but with old contents that could not be punched.
  private var soiled: [Piece] = []
  private(set) var freed: [Piece] = []
  private var quarantined: [(epoch: UInt64, pieces: [Piece])] = []
  private var punched: [Piece] = []

  /// How much the file grows at once, at least: fewer changes of its size.
  private static let growth: UInt64 = 16 << 20

  init(blockByteCount: UInt64, fileByteCount: UInt64) {
    self.blockByteCount = blockByteCount
    let unit = VHDXFormat.mebibyte
    endOfFile = fileByteCount
    next = (fileByteCount + unit - 1) / unit * unit
  }

  /// Marks a range that metadata speaks of. False when part of it is taken already.
  mutating func take(_ range: Range<UInt64>) -> Bool {
    let first = Int(range.lowerBound / VHDXFormat.mebibyte)
    let last = Int((range.upperBound + VHDXFormat.mebibyte - 1) / VHDXFormat.mebibyte)
    if taken.count * 64 < last { taken += repeatElement(0, count: (last + 63) / 64 - taken.count) }
    for bit in first..<last {
      let mask = UInt64(1) << UInt64(bit % 64)
      guard taken[bit / 64] & mask == 0 else { return false }
      taken[bit / 64] |= mask
    }
    next = max(next, UInt64(last) * VHDXFormat.mebibyte)
    return true
  }

  /// Everything that metadata speaks of has been marked: what is left below the end is gaps.
  mutating func beginAllocating() { gapLimit = next }

  private func isTaken(_ offset: UInt64) -> Bool {
    let bit = Int(offset / VHDXFormat.mebibyte)
    return bit / 64 < taken.count && taken[bit / 64] >> UInt64(bit % 64) & 1 == 1
  }

  private mutating func release(_ piece: Piece) {
    for offset in stride(from: piece.offset, to: piece.offset + piece.byteCount, by: Int(VHDXFormat.mebibyte)) {
      let bit = Int(offset / VHDXFormat.mebibyte)
      taken[bit / 64] &= ~(1 << UInt64(bit % 64))
    }
  }

  /// Space that reads as zeroes, durably or because the file is new there. `needsZeroing`: it does not, and must before
  /// the entry that points at it is logged.
  mutating func allocate(
    _ byteCount: UInt64, in store: any ByteStore
  ) throws(ImageError) -> (offset: UInt64, needsZeroing: Bool) {
    if let index = clean.lastIndex(where: { $0.byteCount >= byteCount }) {
      let piece = clean.remove(at: index)
      if piece.byteCount > byteCount {
        clean.append(Piece(offset: piece.offset + byteCount, byteCount: piece.byteCount - byteCount))
      }
      try reach(piece.offset + byteCount, in: store)
      return (piece.offset, false)
    }
    if byteCount == blockByteCount, let piece = soiled.popLast() {
      try reach(piece.offset + byteCount, in: store)
      return (piece.offset, true)
    }
    wantsGaps = true
    return (try allocateAtEnd(byteCount, in: store), false)
  }

  /// New space, which reads as zeroes.
  mutating func allocateAtEnd(_ byteCount: UInt64, in store: any ByteStore) throws(ImageError) -> UInt64 {
    let offset = next
    guard offset + byteCount <= VHDXFormat.maximumFileByteCount else {
      throw store.invalid("file", "it cannot grow past \(VHDXFormat.maximumFileByteCount / VHDXFormat.tebibyte) TiB")
    }
    try reach(offset + byteCount, in: store)
    _ = take(offset..<offset + byteCount)
    next = offset + byteCount
    return offset
  }

  /// Lets the file have at least `end` bytes.
  private mutating func reach(_ end: UInt64, in store: any ByteStore) throws(ImageError) {
    guard end > endOfFile else { return }
    let target = max(end, next + Self.growth)
    try store.resize(to: target)
    endOfFile = target
  }

  /// The entry that pointed at it has changed in memory.
  mutating func free(_ piece: Piece) { freed.append(piece) }

  /// What was freed up to now: the commit that begins makes it durable.
  mutating func takeFreed() -> [Piece] {
    defer { freed = [] }
    return freed
  }

  mutating func putBack(_ pieces: [Piece]) { freed += pieces }

  mutating func quarantine(_ pieces: [Piece], epoch: UInt64) {
    if !pieces.isEmpty { quarantined.append((epoch, pieces)) }
  }

  /// Pieces to punch now: those whose leases have ended, neighbours joined, and some gaps when space was asked for.
  mutating func takePunchable(_ leases: LeaseLedger, gapLimit count: Int = 64) -> [Piece] {
    var result: [Piece] = []
    quarantined.removeAll { item in
      guard leases.hasEnded(item.epoch) else { return false }
      result += item.pieces
      return true
    }
    if wantsGaps {
      wantsGaps = false
      for _ in 0..<count {
        guard let gap = nextGap() else { break }
        result.append(gap)
      }
    }
    return result
  }

  /// The next gap of at most one block; marks it as taken.
  private mutating func nextGap() -> Piece? {
    let unit = VHDXFormat.mebibyte
    while gapCursor < gapLimit, isTaken(gapCursor) {
      let word = Int(gapCursor / unit / 64)
      gapCursor = taken[word] == .max ? UInt64(word + 1) * 64 * unit : gapCursor + unit
    }
    guard gapCursor < gapLimit else { return nil }
    var end = gapCursor
    while end < gapLimit, end - gapCursor < blockByteCount, !isTaken(end) { end += unit }
    let piece = Piece(offset: gapCursor, byteCount: end - gapCursor)
    _ = take(piece.offset..<end)
    gapCursor = end
    return piece
  }

  mutating func markPunched(_ piece: Piece) { punched.append(piece) }

  mutating func markSoiled(_ piece: Piece) { if piece.byteCount == blockByteCount { soiled.append(piece) } }

  /// A flush that began after they were punched has ended; `count` is how many there were when it began.
  mutating func markClean(_ count: Int) {
    clean += punched.prefix(count)
    punched.removeFirst(min(count, punched.count))
  }

  var punchedCount: Int { punched.count }

  /// Where the file may end when everything free at its end is cut off. Only at the close: the lists are used up.
  mutating func cutEnd() -> Int {
    for piece in clean + soiled + punched + freed + quarantined.flatMap(\.pieces) { release(piece) }
    var word = taken.count - 1
    while word >= 0, taken[word] == 0 { word -= 1 }
    guard word >= 0 else { return 0 }
    return (word * 64 + 64 - taken[word].leadingZeroBitCount) * Int(VHDXFormat.mebibyte)
  }
}
