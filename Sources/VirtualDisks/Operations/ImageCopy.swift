// SPDX-License-Identifier: Apache-2.0

import CLinux

/// Copies a disk's data into a new, empty image: holes and zeroes are left out.
struct ImageCopy {
  /// Reads and writes are of at most this size.
  static let chunk = 2 << 20
  /// Zeroes are left out in pieces of this size.
  static let grain = 4096

  /// The target's disk works while the copy goes on, and not only at the end: it is told whenever so many bytes are passed.
  static let writebackStep: UInt64 = 32 << 20

  let control: OperationControl
  /// The target's file, when it has one.
  var file: Int32?

  init(control: OperationControl, file: Int32? = nil) {
    self.control = control
    self.file = file
  }

  /// All of `source`. `target` must read as zeroes everywhere.
  func copy(_ source: any DiskImage, to target: any DiskImage) throws(OperationError) {
    let total = source.information.virtualByteCount
    let writer = unsafe CopyWriter(chunk: Self.chunk) { [self] bytes, offset throws(ImageError) in
      try unsafe write(bytes, at: offset, to: target)
      let end = offset + UInt64(bytes.count)
      if let file, offset / Self.writebackStep != end / Self.writebackStep { clinux_start_writeback(file) }
    }
    do throws(OperationError) {
      try read(source, sectorOf: target, into: writer)
    } catch {
      try? writer.finish()
      throw error
    }
    try onImage { () throws(ImageError) in try writer.finish() }
    try control.report(total, total)
  }

  private func read(
    _ source: any DiskImage, sectorOf target: any DiskImage, into writer: CopyWriter
  ) throws(OperationError) {
    let total = source.information.virtualByteCount
    let sector = UInt64(max(source.information.logicalSectorByteCount, target.information.logicalSectorByteCount))
    var offset: UInt64 = 0
    while offset < total {
      try control.report(offset, total)
      let extent = try onImage { () throws(ImageError) in
        try source.extent(at: offset, count: total - offset, for: .read)
      }
      guard case .file(let store, let position) = extent.place else {
        offset += extent.byteCount
        continue
      }
      let (skipped, count) = Self.dataRun(store, position, extent.byteCount, sector)
      offset += skipped
      let end = offset + count
      while offset < end {
        try control.report(offset, total)
        let count = Int(min(end - offset, UInt64(Self.chunk)))
        let start = offset
        try onImage { () throws(ImageError) in
          try unsafe source.read(at: start, into: writer.room(count))
          writer.put(count, at: start)
        }
        offset += UInt64(count)
      }
    }
  }

  /// How much of an extent is a hole, and how much data follows. Stores without a descriptor are all data.
  static func dataRun(
    _ store: any ByteStore, _ position: UInt64, _ count: UInt64, _ sector: UInt64
  ) -> (skipped: UInt64, count: UInt64) {
    guard let descriptor = store.directDescriptor else { return (0, count) }
    let data = clinux_next_data(descriptor, position)
    guard data >= 0 else { return (0, count) }
    let skipped = min(count, (UInt64(data) - min(UInt64(data), position)) / sector * sector)
    guard skipped < count else { return (count, 0) }
    let hole = clinux_next_hole(descriptor, position + skipped)
    guard hole > 0, UInt64(hole) > position + skipped else { return (skipped, count - skipped) }
    let run = (UInt64(hole) - position - skipped + sector - 1) / sector * sector
    return (skipped, min(count - skipped, run))
  }

  /// Writes what is not zero.
  private func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, to target: any DiskImage) throws(ImageError) {
    var start = 0
    while start < bytes.count {
      // Where the next data begins, and where it ends in at least a grain of zeroes.
      while start < bytes.count, unsafe isZero(bytes, start) { start += Self.grain }
      var end = start
      while end < bytes.count, unsafe !isZero(bytes, end) { end += Self.grain }
      guard start < bytes.count else { return }
      let run = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<min(end, bytes.count)])
      try unsafe target.write(at: offset + UInt64(start), from: run)
      start = end
    }
  }

  private func isZero(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> Bool {
    unsafe ZeroRuns.isZero(UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + Self.grain, bytes.count)]))
  }
}
