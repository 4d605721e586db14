// SPDX-License-Identifier: Apache-2.0

import Synchronization
import VMBus

/// An open VHD: fixed, dynamic, or differencing over a parent.
///
/// What makes it safe against power loss: table entries and sector bits of new data stay in memory until a flush. That
/// flush makes the data durable first, then writes entries and bits, then makes those durable. So the file never points
/// to data that is not there, and a sector shows what was written to it or what it held before. The footer moves ahead
/// of new blocks, and the last sector of the file never holds a guest's data.
///
/// Blocks never move and are never freed while the image is open: the format has no place to say so crash-safely without
/// leaving gaps that other programs do not look for. `discard` punches holes into blocks instead.
public final class VHDImage: DiskImage {
  struct State {
    var structure: VHDStructure
    var bitmaps: SectorBitmaps
    /// Blocks whose table entry is not in the file yet.
    var uncommitted: Set<Int> = []
    /// The footer's time stamp, which children remember, says that this image has been written to.
    var isTouched = false
    var isClosed = false
    var isPoisoned = false
  }

  let store: any ByteStore
  /// What shows through. nil with a differencing image that was opened without one: what needs it fails then.
  let parent: (any DiskImage)?
  let parentByteCount: UInt64
  let state: Mutex<State>
  /// One flush at a time: the second would otherwise take the first one's unwritten bits for written.
  let flushing = Mutex(())
  let leases = LeaseLedger()
  let isReadOnly: Bool
  private let isDifferencing: Bool

  /// `.readOnly` stores make read-only images.
  public convenience init(_ store: any ByteStore, parent: (any DiskImage)? = nil) throws(ImageError) {
    self.init(store, try VHDStructure(reading: store), parent: parent)
  }

  /// `keepsTimestamp`: for a copy that its original's children shall take for the original.
  init(
    _ store: any ByteStore, _ structure: VHDStructure, parent: (any DiskImage)?, keepsTimestamp: Bool = false
  ) {
    self.store = store
    self.parent = structure.footer.kind == .differencing ? parent : nil
    parentByteCount = parent?.information.virtualByteCount ?? 0
    isReadOnly = store.isReadOnly
    isDifferencing = structure.footer.kind == .differencing
    let sectors = Int((structure.header?.blockSize ?? 512) / 512)
    state = Mutex(
      State(structure: structure, bitmaps: SectorBitmaps(sectorsPerBlock: sectors), isTouched: keepsTimestamp))
  }

  public var information: ImageInformation {
    let structure = state.withLock { $0.structure }
    let kind: ImageKind =
      switch structure.footer.kind {
      case .fixed: .fixed
      case .dynamic: .dynamic
      case .differencing: .differencing
      }
    return ImageInformation(
      format: .vhd, kind: kind, virtualByteCount: structure.footer.currentSize, logicalSectorByteCount: 512,
      physicalSectorByteCount: 512, blockByteCount: structure.header?.blockSize, isReadOnly: isReadOnly,
      diskIdentifier: structure.footer.identifier.guid, identifier: structure.footer.identifier.guid,
      parent: structure.parentReference, canDiscard: !isReadOnly && kind != .differencing)
  }

  /// What is damaged in the file but was read from its copy.
  public var notes: [ImageError] { state.withLock { $0.structure.notes } }
  /// Seconds since 2000 of the last change, which a child remembers.
  var timestamp: VHDTimestamp { state.withLock { $0.structure.footer.timestamp } }

  public var isPoisoned: Bool { state.withLock { $0.isPoisoned } }

  public func beginIO() -> IOLease { leases.begin() }

  // MARK: Reading

  public func extent(at offset: UInt64, count: UInt64, for access: ImageAccess) throws(ImageError) -> ImageExtent {
    let place = try state.withLock { state throws(ImageError) in
      try locate(&state, offset, count, access)
    }
    switch place {
    case .here(let position, let count): return ImageExtent(.file(store, offset: position), byteCount: count)
    case .needsAllocation(let count): return ImageExtent(.needsAllocation, byteCount: count)
    case .below(let count): return try parentExtent(at: offset, count: count)
    }
  }

  public func extentAtHand(at offset: UInt64, count: UInt64, for access: ImageAccess) -> ImageExtent? {
    let place = state.withLockSoon { state -> Place? in
      guard isAtHand(&state, offset, access) else { return nil }
      return try? locate(&state, offset, count, access)
    }
    switch place {
    case nil: return nil
    case .here(let position, let count): return ImageExtent(.file(store, offset: position), byteCount: count)
    case .needsAllocation(let count): return ImageExtent(.needsAllocation, byteCount: count)
    case .below(let count):
      guard let parent else { return isDifferencing ? nil : ImageExtent(.zeroes, byteCount: count) }
      guard offset < parentByteCount else { return ImageExtent(.zeroes, byteCount: count) }
      return parent.extentAtHand(at: offset, count: min(count, parentByteCount - offset), for: .read)
    }
  }

  /// `locate` needs nothing of the file: the first write has been, and the block's bitmap is in memory.
  private func isAtHand(_ state: inout State, _ offset: UInt64, _ access: ImageAccess) -> Bool {
    guard access == .read || state.isTouched else { return false }
    guard let header = state.structure.header else { return true }
    let block = Int(clamping: offset / UInt64(header.blockSize))
    guard block < state.structure.table.count, state.structure.table[block] != VHDStructure.unused else { return true }
    return state.bitmaps.isFull(block) || state.bitmaps.bitmap(block) != nil
  }

  enum Place {
    case here(UInt64, count: UInt64)
    /// The parent has it, or nobody.
    case below(count: UInt64)
    case needsAllocation(count: UInt64)
  }

  /// Under the lock.
  func locate(
    _ state: inout State, _ offset: UInt64, _ count: UInt64, _ access: ImageAccess
  ) throws(ImageError) -> Place {
    try checkRange(state, offset, count)
    if access == .write { try touch(&state) }
    guard let header = state.structure.header else { return .here(offset, count: count) }
    let blockSize = UInt64(header.blockSize)
    let block = Int(offset / blockSize)
    let within = offset % blockSize
    let rest = min(count, blockSize - within)
    let sector = state.structure.table[block]
    guard sector != VHDStructure.unused else {
      guard access == .read else { return .needsAllocation(count: rest) }
      // Unused blocks in a row are one piece, so that empty space is skipped quickly.
      var found = rest
      var next = block + 1
      while found < count, next < state.structure.table.count, state.structure.table[next] == VHDStructure.unused {
        found = min(count, found + blockSize)
        next += 1
      }
      return .below(count: found)
    }
    try loadBitmap(&state, block)
    let run = state.bitmaps.run(block, from: Int(within / 512), limit: Int(rest / 512))
    let found = UInt64(run.count) * 512
    if run.isSet { return .here(UInt64(sector) * 512 + header.bitmapBytes + within, count: found) }
    return access == .read ? .below(count: found) : .needsAllocation(count: found)
  }

  func loadBitmap(_ state: inout State, _ block: Int) throws(ImageError) {
    guard !state.bitmaps.isFull(block), state.bitmaps.bitmap(block) == nil, let header = state.structure.header else {
      return
    }
    let place = UInt64(state.structure.table[block]) * 512
    do throws(StoreError) {
      state.bitmaps.load(block, try store.bytes(at: place, count: Int(header.bitmapBytes)))
    } catch {
      throw ImageError(error, structure: "sector bitmap of block \(block)")
    }
  }

  private func parentExtent(at offset: UInt64, count: UInt64) throws(ImageError) -> ImageExtent {
    guard let parent else {
      guard let reference = information.parent else { return ImageExtent(.zeroes, byteCount: count) }
      throw error("parent", nil, .parent("\(reference.paths.first ?? "it") is not open"))
    }
    guard offset < parentByteCount else { return ImageExtent(.zeroes, byteCount: count) }
    return try parent.extent(at: offset, count: min(count, parentByteCount - offset), for: .read)
  }

  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
    let lease = beginIO()
    defer { extendLifetime(lease) }
    var done = 0
    while done < buffer.count {
      let place = offset &+ UInt64(done)
      let extent = try extent(at: place, count: UInt64(buffer.count - done), for: .read)
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + Int(extent.byteCount)])
      switch extent.place {
      case .file(let file, let position):
        do throws(StoreError) { try unsafe file.read(at: position, into: part) } catch {
          throw ImageError(error, structure: "disk byte \(place)")
        }
      case .zeroes, .needsAllocation: unsafe part.initializeMemory(as: UInt8.self, repeating: 0)
      }
      done += part.count
    }
  }

  // MARK: Checks

  func checkRange(_ state: borrowing State, _ offset: UInt64, _ count: UInt64) throws(ImageError) {
    guard !state.isClosed else { throw error("", nil, .closed) }
    let size = state.structure.footer.currentSize
    guard offset % 512 == 0, count % 512 == 0, count > 0, offset <= size, count <= size - offset else {
      throw error("", nil, .invalid("\(count) bytes at \(offset) are not whole sectors of a disk of \(size) bytes"))
    }
  }

  func checkWritable(_ state: borrowing State) throws(ImageError) {
    guard !state.isClosed else { throw error("", nil, .closed) }
    guard !isReadOnly else { throw error("", nil, .readOnly) }
    guard !state.isPoisoned else { throw error("", nil, .poisoned) }
  }

  func error(_ structure: String, _ offset: UInt64?, _ reason: ImageError.Reason) -> ImageError {
    ImageError(file: store.name, structure: structure, offset: offset, reason)
  }

  /// Runs a store's call and names the structure it was for.
  func access<Value>(_ structure: String, _ body: () throws(StoreError) -> Value) throws(ImageError) -> Value {
    do throws(StoreError) { return try body() } catch { throw ImageError(error, structure: structure) }
  }
}
