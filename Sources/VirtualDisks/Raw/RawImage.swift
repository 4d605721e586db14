// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A file that is the disk, byte for byte: a raw disk, or an ISO image, which is read-only and has sectors of 2048 bytes.
///
/// Nothing in the file says what it is, and everything in it is the guest's: it is never looked at to find a format.
public final class RawImage: DiskImage {
  private struct State {
    var byteCount: UInt64
    var isClosed = false
  }

  private let store: any ByteStore
  private let format: ImageFormat
  private let sectorByteCount: UInt32
  private let physicalSectorByteCount: UInt32
  private let isReadOnly: Bool
  private let state: Mutex<State>
  private let leases = LeaseLedger()

  /// `sectorByteCount`: 512 or 4096. `physicalSectorByteCount`: 4096 with 512 for a disk that asks for aligned writes.
  public static func disk(
    _ store: any ByteStore, sectorByteCount: UInt32 = 512, physicalSectorByteCount: UInt32? = nil
  ) throws(ImageError) -> RawImage {
    let physical = physicalSectorByteCount ?? sectorByteCount
    guard [512, 4096].contains(sectorByteCount), [512, 4096].contains(physical), physical >= sectorByteCount else {
      throw ImageError(
        file: store.name, structure: "",
        .invalid("sectors of a raw disk have 512 or 4096 bytes, not \(sectorByteCount) on \(physical)"))
    }
    return try RawImage(store, .raw, sectorByteCount, physical)
  }

  /// A DVD. Read-only, whatever the store allows.
  public static func iso(_ store: any ByteStore) throws(ImageError) -> RawImage {
    try RawImage(store, .iso, 2048, 2048)
  }

  private init(
    _ store: any ByteStore, _ format: ImageFormat, _ sector: UInt32, _ physical: UInt32
  ) throws(ImageError) {
    self.store = store
    self.format = format
    sectorByteCount = sector
    physicalSectorByteCount = physical
    isReadOnly = store.isReadOnly || format == .iso
    let byteCount: UInt64
    do throws(StoreError) { byteCount = try store.byteCount() } catch { throw ImageError(error) }
    try Self.checkSize(byteCount, sector, store.name)
    state = Mutex(State(byteCount: byteCount))
  }

  /// 64 TiB, the largest disk of the other formats.
  public static let largestDisk: UInt64 = 64 << 40

  static func checkSize(_ byteCount: UInt64, _ sector: UInt32, _ name: String) throws(ImageError) {
    guard byteCount > 0 else { throw ImageError(file: name, structure: "", .invalid("a disk of 0 bytes is none")) }
    guard byteCount % UInt64(sector) == 0 else {
      throw ImageError(
        file: name, structure: "", .invalid("\(byteCount) bytes are not a whole number of sectors of \(sector) bytes"))
    }
    guard byteCount <= largestDisk else {
      throw ImageError(file: name, structure: "", .invalid("\(byteCount) bytes are more than 64 TiB"))
    }
  }

  public var information: ImageInformation {
    ImageInformation(
      format: format, kind: .fixed, virtualByteCount: state.withLock { $0.byteCount },
      logicalSectorByteCount: sectorByteCount, physicalSectorByteCount: physicalSectorByteCount, isReadOnly: isReadOnly,
      canDiscard: !isReadOnly)
  }

  public func beginIO() -> IOLease { leases.begin() }

  public func extent(at offset: UInt64, count: UInt64, for access: ImageAccess) throws(ImageError) -> ImageExtent {
    try check(offset, count, access)
    return ImageExtent(.file(store, offset: offset), byteCount: count)
  }

  public func extentAtHand(at offset: UInt64, count: UInt64, for access: ImageAccess) -> ImageExtent? {
    try? extent(at: offset, count: count, for: access)
  }

  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
    let lease = beginIO()
    defer { extendLifetime(lease) }
    try check(offset, UInt64(buffer.count), .read)
    try onFile { () throws(StoreError) in try unsafe store.read(at: offset, into: buffer) }
  }

  public func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(ImageError) {
    let lease = beginIO()
    defer { extendLifetime(lease) }
    try check(offset, UInt64(buffer.count), .write)
    try onFile { () throws(StoreError) in try unsafe store.write(at: offset, from: buffer) }
  }

  public func flush() throws(ImageError) {
    guard !(state.withLock { $0.isClosed }) else { throw error(.closed) }
    try onFile { () throws(StoreError) in try store.flush() }
  }

  public func discard(at offset: UInt64, count: UInt64) throws(ImageError) {
    guard !isReadOnly else { return }
    try writeZeroes(at: offset, count: count)
  }

  public func writeZeroes(at offset: UInt64, count: UInt64) throws(ImageError) {
    let lease = beginIO()
    defer { extendLifetime(lease) }
    try check(offset, count, .write)
    try onFile { () throws(StoreError) in try store.clear(at: offset, count: count) }
  }

  public func resize(to byteCount: UInt64) throws(ImageError) {
    guard !(state.withLock { $0.isClosed }) else { throw error(.closed) }
    guard !isReadOnly else { throw error(.readOnly) }
    try Self.checkSize(byteCount, sectorByteCount, store.name)
    let old = state.withLock { $0.byteCount }
    if byteCount < old {
      leases.waitForEarlier()
      if let data = try firstData(in: byteCount..<old) {
        throw error(.invalid("the disk has data at \(data), beyond the new size of \(byteCount) bytes"))
      }
      // No new access beyond the end from here on.
      state.withLock { $0.byteCount = byteCount }
    }
    try onFile { () throws(StoreError) in
      try store.setByteCount(byteCount)
      try store.flush()
    }
    state.withLock { $0.byteCount = byteCount }
  }

  public func close() throws(ImageError) {
    guard !(state.withLock { $0.isClosed }) else { return }
    try flush()
    state.withLock { $0.isClosed = true }
  }

  private func check(_ offset: UInt64, _ count: UInt64, _ access: ImageAccess) throws(ImageError) {
    let (size, isClosed) = state.withLock { ($0.byteCount, $0.isClosed) }
    guard !isClosed else { throw error(.closed) }
    let sector = UInt64(sectorByteCount)
    guard offset % sector == 0, count % sector == 0, count > 0, offset <= size, count <= size - offset else {
      throw error(.invalid("\(count) bytes at \(offset) are not whole sectors of a disk of \(size) bytes"))
    }
    guard access == .read || !isReadOnly else { throw error(.readOnly) }
  }

  private func error(_ reason: ImageError.Reason) -> ImageError {
    ImageError(file: store.name, structure: "", reason)
  }

  private func onFile(_ body: () throws(StoreError) -> Void) throws(ImageError) {
    do throws(StoreError) { try body() } catch { throw ImageError(error) }
  }
}
