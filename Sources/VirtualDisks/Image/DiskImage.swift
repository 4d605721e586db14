// SPDX-License-Identifier: Apache-2.0

public enum ImageAccess: Sendable { case read, write }

/// Where the first part of a range of the disk lies.
public struct ImageExtent: Sendable {
  public enum Place: Sendable {
    /// In a file, from `offset` on: reads and, when asked for `.write`, writes may go straight there under the lease.
    case file(any ByteStore, offset: UInt64)
    /// Nowhere: reads as zeroes. Only for `.read`.
    case zeroes
    /// Only `DiskImage.write` can do it, because metadata changes with it. Only for `.write`.
    case needsAllocation
  }

  public var place: Place
  /// At least one sector, at most what was asked for.
  public var byteCount: UInt64

  public init(_ place: Place, byteCount: UInt64) {
    self.place = place
    self.byteCount = byteCount
  }
}

/// One open image, with the parents below it. Thread-safe; every call but `extentAtHand` and `beginIO` may block.
///
/// Offsets and counts are multiples of the logical sector size and lie inside the disk; anything else is `.invalid`.
/// What a completed write stored is durable when a `flush` that began after it has returned; before that it may be lost,
/// sector by sector, but a sector never shows anything except what was written to it and what it held before.
///
/// An image that is dropped without `close` is as one whose machine was killed: sound when it is opened again.
public protocol DiskImage: AnyObject, Sendable {
  var information: ImageInformation { get }

  /// Metadata could not be written: every later write fails until the image is opened again. Reads go on.
  var isPoisoned: Bool { get }

  /// Must be held from before `extent` until the I/O on it has ended.
  func beginIO() -> IOLease

  /// The longest run from `offset` on, at most `count` bytes, that lies in one piece. May read or write metadata.
  func extent(at offset: UInt64, count: UInt64, for access: ImageAccess) throws(ImageError) -> ImageExtent

  /// The same, for a thread that serves other disks too: nil where that needs the file, or somebody else is changing
  /// metadata and may wait for the file, and where `extent` would throw.
  func extentAtHand(at offset: UInt64, count: UInt64, for access: ImageAccess) -> ImageExtent?

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError)
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(ImageError)
  func flush() throws(ImageError)

  /// The guest does not need the range any more: it reads as zeroes afterwards, and as much of its space as the format
  /// allows goes back to the host. An image whose `canDiscard` is false does nothing.
  func discard(at offset: UInt64, count: UInt64) throws(ImageError)

  /// The range reads as zeroes afterwards; space may be given back, but need not be.
  func writeZeroes(at offset: UInt64, count: UInt64) throws(ImageError)

  /// Durable when it returns. Shrinking refuses to cut off data. Waits for leases begun earlier: not to be called by the
  /// thread that would end them.
  func resize(to byteCount: UInt64) throws(ImageError)

  /// Flushes and leaves the file clean; every later call is `.closed`. All leases must have ended. Repeating is harmless.
  func close() throws(ImageError)
}

extension DiskImage {
  public var isPoisoned: Bool { false }
}
