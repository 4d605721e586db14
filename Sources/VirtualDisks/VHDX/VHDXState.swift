// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What an open image knows, under its lock: the disk's shape, cached metadata, space. Changes are made here first and
/// become part of the file with the next commit.
struct VHDXState: Sendable {
  enum Mode: Sendable {
    case readOnly
    /// Open to write, nothing changed yet: the file is as it was found.
    case untouched
    case writing
    /// Metadata could not be written; reads go on with what is in memory.
    case poisoned
    case closed
  }

  /// Where a run of a disk's bytes is.
  enum Run: Equatable, Sendable {
    case file(UInt64)
    case zeroes
    case parent
  }

  var mode: Mode
  var geometry: VHDXGeometry
  /// The region, which may be longer than the table.
  var blockTable: Range<UInt64>
  var virtualSizeOffset: UInt64
  var dataWriteIdentifier: GUID
  var pages: VHDXPageCache
  var space: VHDXSpace
  /// Data written since the last flush must be durable before the changed metadata is logged: it replaces something that
  /// was visible before.
  var needsBarrier = false
  /// Pages outside the cache for the next commit: what a resize changes.
  var extraPages: [VHDXLogPage] = []
  /// The block table is on its way to another place or size: it changes in no other way meanwhile.
  var isMoving = false
  /// How many changed pages one commit can take.
  let capacity: Int

  // MARK: entries

  func entryOffset(_ index: UInt64) -> UInt64 { blockTable.lowerBound + index * 8 }

  /// A block's entry, checked again: the file may have changed behind our back since it was opened.
  mutating func entry(ofBlock block: UInt64, in store: any ByteStore) throws(ImageError) -> VHDXBlockEntry {
    let index = geometry.entryIndex(ofBlock: block)
    let offset = entryOffset(index)
    var entry = VHDXBlockEntry(rawValue: try pages.word(at: offset, in: store))
    if let flaw = Self.flaw(entry, geometry) { throw store.damaged("block table entry \(index)", at: offset, flaw) }
    // Without a parent a block is whole or not there; some writers mark it as partial all the same.
    if !geometry.hasParent, entry.state == .partiallyPresent { entry = VHDXBlockEntry(.fullyPresent, at: entry.offset) }
    return entry
  }

  static func flaw(_ entry: VHDXBlockEntry, _ geometry: VHDXGeometry) -> String? {
    if !entry.state.isKnown { return "state \(entry.state.rawValue) is not known" }
    if entry.hasReservedBits { return "reserved bits are set" }
    guard entry.state.hasSpace else { return nil }
    if entry.offset < VHDXFormat.headerSectionByteCount { return "it points into the header section" }
    if entry.offset > VHDXFormat.maximumFileByteCount { return "byte \(entry.offset) is past any possible end" }
    return nil
  }

  mutating func setEntry(
    ofBlock block: UInt64, _ entry: VHDXBlockEntry, in store: any ByteStore
  ) throws(ImageError) {
    try pages.setWord(entry.rawValue, at: entryOffset(geometry.entryIndex(ofBlock: block)), in: store)
  }

  /// Where a chunk's sector bitmap lies; nil when it has none.
  mutating func bitmapOffset(ofChunk chunk: UInt64, in store: any ByteStore) throws(ImageError) -> UInt64? {
    let index = geometry.entryIndex(ofChunk: chunk)
    let offset = entryOffset(index)
    let entry = VHDXBlockEntry(rawValue: try pages.word(at: offset, in: store))
    if let flaw = Self.bitmapFlaw(entry, geometry) {
      throw store.damaged("block table entry \(index)", at: offset, flaw)
    }
    return entry.state.hasSpace ? entry.offset : nil
  }

  static func bitmapFlaw(_ entry: VHDXBlockEntry, _ geometry: VHDXGeometry) -> String? {
    if let flaw = flaw(entry, geometry) { return flaw }
    guard entry.state == .notPresent || entry.state.hasSpace else {
      return "state \(entry.state.rawValue) is not possible for a sector bitmap"
    }
    return nil
  }

  // MARK: reading

  /// The longest run from `offset` on, at most `count` bytes. Inside the disk.
  mutating func run(at offset: UInt64, count: UInt64, in store: any ByteStore) throws(ImageError) -> (Run, UInt64) {
    let size = geometry.blockByteCount
    var block = offset / size
    let inBlock = offset % size
    let entry = try entry(ofBlock: block, in: store)
    var length = min(count, size - inBlock)
    if entry.state == .partiallyPresent { return try partialRun(entry, block, inBlock, length, in: store) }
    let run = Self.run(entry, inBlock, geometry)
    // Neighbours in the same state (and the same order in the file) make one run; bounded, as the caller may ask for all.
    var looked = 0
    while length < count, looked < 1 << 14 {
      looked += 1
      block += 1
      let next = try self.entry(ofBlock: block, in: store)
      guard next.state != .partiallyPresent else { break }
      let continued = Self.run(next, 0, geometry)
      if case .file(let start) = run {
        guard continued == .file(start + length) else { break }
      } else {
        guard continued == run else { break }
      }
      length += min(count - length, size)
    }
    return (run, length)
  }

  private static func run(_ entry: VHDXBlockEntry, _ inBlock: UInt64, _ geometry: VHDXGeometry) -> Run {
    switch entry.state {
    case .fullyPresent: .file(entry.offset + inBlock)
    case .notPresent where geometry.hasParent: .parent
    default: .zeroes
    }
  }

  private mutating func partialRun(
    _ entry: VHDXBlockEntry, _ block: UInt64, _ inBlock: UInt64, _ count: UInt64, in store: any ByteStore
  ) throws(ImageError) -> (Run, UInt64) {
    let sector = geometry.logicalSectorByteCount
    let bits = try bitmap(ofBlock: block, in: store)
    let first = bits.firstBit + inBlock / sector
    let limit = count / sector
    var length: UInt64 = 0
    var isPresent: Bool?
    while length < limit {
      let bit = first + length
      let word = try pages.word(at: bits.offset + bit / 64 * 8, in: store)
      let shift = bit % 64
      let present = word >> shift & 1 == 1
      if let isPresent, isPresent != present { break }
      isPresent = present
      // As far as the bits of this word are the same.
      let same = (present ? ~word : word) >> shift
      length += min(min(UInt64(same.trailingZeroBitCount), 64 - shift), limit - length)
    }
    return (isPresent == true ? .file(entry.offset + inBlock) : .parent, length * sector)
  }

  /// The sector bitmap of a partially present block, and its first bit there.
  private mutating func bitmap(
    ofBlock block: UInt64, in store: any ByteStore
  ) throws(ImageError) -> (offset: UInt64, firstBit: UInt64) {
    let (chunk, place) = block.quotientAndRemainder(dividingBy: geometry.chunkRatio)
    guard let offset = try bitmapOffset(ofChunk: chunk, in: store) else {
      let index = geometry.entryIndex(ofBlock: block)
      throw store.damaged(
        "block table entry \(index)", at: entryOffset(index), "the block is partially present without a sector bitmap")
    }
    return (offset, place * (geometry.blockByteCount / geometry.logicalSectorByteCount))
  }

  // MARK: changing

  /// Room for what one step changes: the entry, its bitmap's entry, and the bits of a whole block. When there is none, a
  /// flush makes some; while the table is moving it waits for the end of that.
  var hasRoomForStep: Bool { !isMoving && hasRoomWhileMoving }

  var hasRoomWhileMoving: Bool {
    let bitmapPages = Int(geometry.blockByteCount / (geometry.logicalSectorByteCount * 8 * VHDXFormat.pageByteCount))
    return pages.changed.count + 4 + 2 * bitmapPages <= capacity
  }

  /// Where a write to part of a block goes, with the block allocated. `isFresh`: the space reads as zeroes. `marks`: the
  /// written sectors must be marked as present afterwards.
  mutating func allocate(
    block: UInt64, in store: any ByteStore
  ) throws(ImageError) -> (offset: UInt64, isFresh: Bool, marks: Bool) {
    let entry = try entry(ofBlock: block, in: store)
    if entry.state == .fullyPresent { return (entry.offset, false, false) }
    if entry.state == .partiallyPresent { return (entry.offset, false, true) }
    let showsParent = entry.state == .notPresent && geometry.hasParent
    if showsParent { try prepareBitmap(ofBlock: block, in: store) }
    let (offset, needsZeroing) = try space.allocate(geometry.blockByteCount, in: store)
    if needsZeroing {
      do throws(StoreError) { try store.writeZeroes(at: offset, count: geometry.blockByteCount) } catch {
        space.markSoiled(.init(offset: offset, byteCount: geometry.blockByteCount))
        throw ImageError(error)
      }
      needsBarrier = true
    }
    try setEntry(ofBlock: block, .init(showsParent ? .partiallyPresent : .fullyPresent, at: offset), in: store)
    return (offset, true, showsParent)
  }

  /// Gives the block's chunk a bitmap, and the block cleared bits in it.
  private mutating func prepareBitmap(ofBlock block: UInt64, in store: any ByteStore) throws(ImageError) {
    let chunk = block / geometry.chunkRatio
    if try bitmapOffset(ofChunk: chunk, in: store) == nil {
      // Always at the end of the file or from a clean piece: its zeroes mean "nothing present".
      let (offset, needsZeroing) = try space.allocate(VHDXFormat.bitmapByteCount, in: store)
      if needsZeroing {
        do throws(StoreError) { try store.writeZeroes(at: offset, count: VHDXFormat.bitmapByteCount) } catch {
          throw ImageError(error)
        }
        needsBarrier = true
      }
      let index = geometry.entryIndex(ofChunk: chunk)
      try pages.setWord(VHDXBlockEntry(.fullyPresent, at: offset).rawValue, at: entryOffset(index), in: store)
    }
    try setBits(ofBlock: block, at: 0, count: geometry.blockByteCount, to: false, in: store)
  }

  /// The sectors of a write to a partially present block at `offset` have been stored: they count from now on. False when
  /// the block has gone elsewhere meanwhile.
  mutating func markPresent(
    block: UInt64, at offset: UInt64, inBlock: UInt64, count: UInt64, in store: any ByteStore
  ) throws(ImageError) {
    let entry = try entry(ofBlock: block, in: store)
    guard entry.state == .partiallyPresent, entry.offset == offset else { return }
    needsBarrier = true
    if inBlock == 0, count == geometry.blockByteCount {
      try setEntry(ofBlock: block, .init(.fullyPresent, at: offset), in: store)
    } else {
      try setBits(ofBlock: block, at: inBlock, count: count, to: true, in: store)
    }
  }

  private mutating func setBits(
    ofBlock block: UInt64, at inBlock: UInt64, count: UInt64, to value: Bool, in store: any ByteStore
  ) throws(ImageError) {
    let bits = try bitmap(ofBlock: block, in: store)
    var bit = bits.firstBit + inBlock / geometry.logicalSectorByteCount
    let end = bit + count / geometry.logicalSectorByteCount
    while bit < end {
      let shift = bit % 64
      let width = min(64 - shift, end - bit)
      let mask = (width == 64 ? UInt64.max : (1 << width) - 1) << shift
      let offset = bits.offset + bit / 64 * 8
      let word = try pages.word(at: offset, in: store)
      try pages.setWord(value ? word | mask : word & ~mask, at: offset, in: store)
      bit += width
    }
  }

  /// The block reads as zeroes from now on and its space, if any, is on its way back.
  mutating func release(block: UInt64, to state: VHDXBlockEntry.State, in store: any ByteStore) throws(ImageError) {
    let entry = try entry(ofBlock: block, in: store)
    let readsAsZeroes = !entry.state.hasSpace && (entry.state != .notPresent || !geometry.hasParent)
    guard !readsAsZeroes else { return }
    try setEntry(ofBlock: block, .init(state), in: store)
    if entry.state.hasSpace { space.free(.init(offset: entry.offset, byteCount: geometry.blockByteCount)) }
  }
}
