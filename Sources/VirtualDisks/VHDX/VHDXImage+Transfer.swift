// SPDX-License-Identifier: Apache-2.0

import Synchronization

extension VHDXImage {
  public func extent(
    at offset: UInt64, count: UInt64, for access: ImageAccess
  ) throws(ImageError) -> ImageExtent {
    let (run, length) = try state.withLock { state throws(ImageError) in
      try self.run(&state, at: offset, count: count, for: access, in: self.store)
    }
    if let extent = extent(of: run, length, for: access) { return extent }
    guard let parent else {
      throw ImageError(
        file: store.name, structure: "", .parent("byte \(offset) of the disk lies in the parent, which is not open"))
    }
    guard offset < parentByteCount else { return ImageExtent(.zeroes, byteCount: length) }
    return try parent.extent(at: offset, count: min(length, parentByteCount - offset), for: .read)
  }

  public func extentAtHand(at offset: UInt64, count: UInt64, for access: ImageAccess) -> ImageExtent? {
    let found = state.withLockSoon { state in
      try? self.run(&state, at: offset, count: count, for: access, in: AbsentStore.only)
    }
    guard let (run, length) = found else { return nil }
    if let extent = extent(of: run, length, for: access) { return extent }
    guard let parent else { return nil }
    guard offset < parentByteCount else { return ImageExtent(.zeroes, byteCount: length) }
    return parent.extentAtHand(at: offset, count: min(length, parentByteCount - offset), for: .read)
  }

  /// Under the lock. `store`: where metadata come from that are not in memory.
  private func run(
    _ state: inout VHDXState, at offset: UInt64, count: UInt64, for access: ImageAccess, in store: any ByteStore
  ) throws(ImageError) -> (VHDXState.Run, UInt64) {
    guard state.mode != .closed else { throw error(.closed) }
    try check(offset, count, state.geometry)
    guard count > 0 else { return (.zeroes, 0) }
    if access == .write {
      switch state.mode {
      case .readOnly: throw error(.readOnly)
      case .poisoned: throw error(.poisoned)
      // The first write changes the header, which `write` does.
      case .untouched: return (.zeroes, count)
      case .writing, .closed: break
      }
    }
    return try state.run(at: offset, count: count, in: store)
  }

  /// nil: the parent's, where a parent may be shorter than its child: what lies behind its end reads as zeroes.
  private func extent(of run: VHDXState.Run, _ length: UInt64, for access: ImageAccess) -> ImageExtent? {
    switch run {
    case .file(let place): ImageExtent(.file(store, offset: place), byteCount: length)
    case .zeroes: ImageExtent(access == .read ? .zeroes : .needsAllocation, byteCount: length)
    case .parent: access == .read ? nil : ImageExtent(.needsAllocation, byteCount: length)
    }
  }

  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
    let lease = beginIO()
    defer { withExtendedLifetime(lease) {} }
    var done = 0
    while done < buffer.count {
      let extent = try extent(at: offset + UInt64(done), count: UInt64(buffer.count - done), for: .read)
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + Int(extent.byteCount)])
      switch extent.place {
      case .file(let store, let place):
        do throws(StoreError) { try unsafe store.read(at: place, into: part) } catch { throw failure(error) }
      case .zeroes, .needsAllocation: unsafe part.initializeMemory(as: UInt8.self, repeating: 0)
      }
      done += part.count
    }
  }

  public func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(ImageError) {
    try prepareToWrite(offset, UInt64(buffer.count))
    let lease = beginIO()
    defer { withExtendedLifetime(lease) {} }
    var done = 0
    while done < buffer.count {
      let target = try target(at: offset + UInt64(done), count: UInt64(buffer.count - done))
      let part = unsafe UnsafeRawBufferPointer(rebasing: buffer[done..<done + Int(target.byteCount)])
      do throws(StoreError) { try unsafe store.write(at: target.place, from: part) } catch { throw failure(error) }
      try mark(target)
      done += part.count
    }
  }

  /// Where the front of a range is written, with its space allocated.
  struct Target {
    var place: UInt64
    var byteCount: UInt64
    /// The space was given just now and reads as zeroes.
    var isFresh = false
    /// Set when the sectors must be marked as present after the write.
    var marking: (block: UInt64, inBlock: UInt64, blockPlace: UInt64)?
  }

  func target(at offset: UInt64, count: UInt64) throws(ImageError) -> Target {
    while true {
      let target = try state.withLock { state throws(ImageError) -> Target? in
        try self.checkWritable(state.mode)
        try self.check(offset, count, state.geometry)
        let (run, length) = try state.run(at: offset, count: count, in: self.store)
        if case .file(let place) = run { return Target(place: place, byteCount: length) }
        guard state.hasRoomForStep else { return nil }
        let size = state.geometry.blockByteCount
        let (block, inBlock) = offset.quotientAndRemainder(dividingBy: size)
        let (place, isFresh, marks) = try state.allocate(block: block, in: self.store)
        // No further than the run: in a partially present block the sectors behind it may be ours already.
        let part = marks && !isFresh ? min(length, size - inBlock) : min(count, size - inBlock)
        return Target(
          place: place + inBlock, byteCount: part, isFresh: isFresh, marking: marks ? (block, inBlock, place) : nil)
      }
      if let target { return target }
      try flush()
    }
  }

  /// After the data of `target` has been stored.
  func mark(_ target: Target) throws(ImageError) {
    guard let marking = target.marking else { return }
    while true {
      let done = try state.withLock { state throws(ImageError) -> Bool in
        try self.checkWritable(state.mode)
        guard state.hasRoomForStep else { return false }
        try state.markPresent(
          block: marking.block, at: marking.blockPlace, inBlock: marking.inBlock, count: target.byteCount,
          in: self.store)
        return true
      }
      if done { return }
      try flush()
    }
  }

  func checkWritable(_ mode: VHDXState.Mode) throws(ImageError) {
    switch mode {
    case .writing: return
    case .readOnly, .untouched: throw error(.readOnly)
    case .poisoned: throw error(.poisoned)
    case .closed: throw error(.closed)
    }
  }

  func error(_ reason: ImageError.Reason) -> ImageError { ImageError(file: store.name, structure: "", reason) }
}
