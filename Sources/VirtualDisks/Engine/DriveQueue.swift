// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization

/// The requests of one thread to any number of drives.
///
/// Reads and overwrites go by io_uring between the requester's memory and the file, without a copy; the rest is handed
/// to the drive's own threads. The thread sleeps here too: `step` returns when something has ended or somebody rang the
/// bell. All calls come from one thread, which made the queue; only ringing the bell may come from any.
@safe
public final class DriveQueue {
  /// A request's place from `reserve` until its result is taken.
  public typealias Slot = Int

  public struct Finished: Sendable {
    public var slot: Slot
    /// What `start` was given.
    public var token: UInt64
    public var result: DriveResult
  }

  struct InFlight: ~Copyable {
    var request = DriveRequest(.flush)
    var token: UInt64 = 0
    var drive: Drive?
    var image: (any DiskImage)?
    var lease: IOLease?
    var buffer = DriveBuffer()
    /// `buffer` cut at the borders of the file's pieces; unused when there is one piece.
    var parts = DriveBuffer()
    var outstanding = 0
    /// A part failed or came short: all of it is done again, with the call that tells why.
    var mustRepeat = false
    var isDurable = false
    var next: Slot = -1
  }

  /// What the drives' threads have finished.
  private final class Mailbox: Sendable {
    let finished = Mutex<[(Slot, DriveResult)]>([])
    let bell: DriveBell
    init(_ bell: DriveBell) { self.bell = bell }
  }

  /// Pieces of a file that one request may lie in and still go the direct way.
  private static let pieceLimit = 8
  /// The longest write to a file in memory that is not left to io_uring. Linux gives every write through the page cache of
  /// most file systems to a thread of its own, and changing to it and back takes longer than to copy a few pages.
  private static let copyLimit: UInt64 = 64 << 10
  private static let ringEntries: UInt32 = 256
  private static let bellMark = UInt64.max

  private let count: Int
  private let inFlight: UnsafeMutablePointer<InFlight>
  private var free: Slot
  private let mailbox: Mailbox
  /// Behind a pointer, as the places are: a variable of a class that calls change is guarded at run time against a second
  /// use meanwhile, which took a third of a request's instructions. One thread calls, and nothing here calls back.
  private var ring: UnsafeMutablePointer<IORing>?
  /// An io_uring belongs to the thread that makes it, so it is made with the first request or sleep.
  private var wantsRing: Bool
  /// The bell's counter, read by io_uring.
  private let bellCount: UnsafeMutablePointer<UInt64>
  private var listensToBell = false
  private var wasRung = false
  /// Results that nobody has taken yet: a circle, in which each place has room for one.
  private let finished: UnsafeMutablePointer<Finished>
  private var firstFinished = 0
  private var finishedCount = 0
  private var running = 0

  /// `slots`: requests at a time. `bell`: ends the sleep; one queue's alone. `usesRing`: false for tests of the other
  /// way. The thread that calls anything else first is the queue's.
  public init(slots: Int, bell: DriveBell, usesRing: Bool = true) {
    precondition(slots > 0 && slots <= 1 << 16)
    mailbox = Mailbox(bell)
    count = slots
    unsafe inFlight = .allocate(capacity: slots)
    for slot in 0..<slots {
      unsafe (inFlight + slot).initialize(to: InFlight())
      unsafe inFlight[slot].next = slot + 1 < slots ? slot + 1 : -1
    }
    free = 0
    unsafe bellCount = .allocate(capacity: 1)
    unsafe bellCount.initialize(to: 0)
    wantsRing = usesRing
    unsafe finished = .allocate(capacity: slots)
  }

  deinit {
    precondition(unsafe running == 0 && ring == nil, "a queue ended that was not closed")
    while takeFinished() != nil {}
    unsafe finished.deallocate()
    unsafe inFlight.deinitialize(count: count)
    unsafe inFlight.deallocate()
    unsafe bellCount.deallocate()
  }

  /// The last call of the queue's thread, when no request is under way.
  public func close() {
    precondition(running == 0, "a queue was closed with requests under way")
    // The kernel writes the bell's count into our memory: that must have happened before the memory goes.
    mailbox.bell.ring()
    while listensToBell, (unsafe try? ring?.pointee.submit(wait: true)) != nil { reap() }
    if let made = unsafe ring {
      unsafe made.deinitialize(count: 1)
      unsafe made.deallocate()
    }
    unsafe ring = nil
    wantsRing = false
  }

  private func prepare() {
    guard wantsRing else { return }
    wantsRing = false
    guard let made = try? IORing(entries: Self.ringEntries) else { return }
    let place = UnsafeMutablePointer<IORing>.allocate(capacity: 1)
    unsafe place.initialize(to: made)
    unsafe ring = place
  }

  /// Whether requests go by io_uring; known after the first.
  public var usesRing: Bool { unsafe ring != nil }

  /// Requests between `start` and their result.
  public var executing: Int { running }

  private var bell: Int32 { mailbox.bell.number }

  // MARK: Requests

  /// A place for a request; nil: all are taken.
  public func reserve() -> Slot? {
    guard free >= 0 else { return nil }
    let slot = free
    free = unsafe inFlight[slot].next
    return slot
  }

  /// Appends to the request's memory, which must live until its result.
  public func append(_ memory: UnsafeMutableRawPointer, count: Int, to slot: Slot) {
    unsafe inFlight[slot].buffer.append(memory, count)
  }

  /// Bytes of memory that a reserved place has been given.
  public func byteCount(of slot: Slot) -> UInt64 { unsafe inFlight[slot].buffer.byteCount }

  /// Copies into the place's memory, from its start, as much as it has room for: what a device model answers by itself.
  public func fill(_ slot: Slot, with bytes: RawSpan) {
    unsafe bytes.withUnsafeBytes { source in
      unsafe inFlight[slot].buffer.forEach(limit: UInt64(source.count)) { offset, piece in
        unsafe piece.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[Int(offset)...].prefix(piece.count)))
      }
    }
  }

  /// A private copy of the first bytes of the place's memory, at most `count`.
  public func copy(_ slot: Slot, count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    unsafe inFlight[slot].buffer.forEach(limit: UInt64(count)) { _, piece in unsafe bytes.append(contentsOf: piece) }
    return bytes
  }

  /// Gives back a place that was not used.
  public func release(_ slot: Slot) {
    unsafe inFlight[slot].buffer.removeAll()
    unsafe inFlight[slot].next = free
    free = slot
  }

  /// Starts a request. `token` comes back with its result. Never waits for an image's file, and so may end what needs no
  /// waiting.
  public func start(_ request: DriveRequest, on drive: Drive, token: UInt64, in slot: Slot) {
    prepare()
    running += 1
    unsafe inFlight[slot].request = request
    unsafe inFlight[slot].token = token
    unsafe inFlight[slot].drive = drive
    drive.inFlight.wrappingAdd(1, ordering: .relaxed)
    switch drive.access(request) {
    case .failure(let failure): end(slot, .failure(failure))
    case .success(let (image, sector, isDurable)):
      guard unsafe inFlight[slot].buffer.byteCount >= request.bufferByteCount(sectorSize: UInt32(sector)) else {
        return end(slot, .failure(.badBuffer))
      }
      guard !startDirectly(request, image, slot) else {
        unsafe inFlight[slot].isDurable = isDurable
        return
      }
      hand(slot, to: drive)
    }
  }

  /// The next result. Its place keeps its memory, for another `start`, until `release`.
  public func takeFinished() -> Finished? {
    guard finishedCount > 0 else { return nil }
    let result = unsafe (finished + firstFinished).move()
    firstFinished = firstFinished + 1 < count ? firstFinished + 1 : 0
    finishedCount -= 1
    return result
  }

  // MARK: The direct way

  /// Queues a read or an overwrite for io_uring, or does it. False: it must go the other way; nothing was queued.
  private func startDirectly(_ request: DriveRequest, _ image: any DiskImage, _ slot: Slot) -> Bool {
    guard unsafe ring != nil, request.byteCount > 0 else { return false }
    let access: ImageAccess
    switch request.operation {
    case .read: access = .read
    case .write: access = .write
    default: return false
    }
    var lease: IOLease? = image.beginIO()
    var pieces = InlineArray<8, Piece>(repeating: Piece())
    var pieceCount = 0
    var done: UInt64 = 0
    while done < request.byteCount {
      guard pieceCount < Self.pieceLimit,
        let extent = image.extentAtHand(
          at: request.byteOffset + done, count: request.byteCount - done, for: access)
      else { return false }
      switch extent.place {
      case .file(let store, let offset):
        guard let descriptor = store.directDescriptor else { return false }
        pieces[pieceCount] = Piece(
          descriptor: descriptor, offset: offset, start: done, byteCount: extent.byteCount,
          isCopy: access == .write && extent.byteCount <= Self.copyLimit && store.isInMemory)
      case .zeroes: pieces[pieceCount] = Piece(descriptor: -1, offset: 0, start: done, byteCount: extent.byteCount)
      case .needsAllocation: return false
      }
      done += extent.byteCount
      pieceCount += 1
    }
    unsafe inFlight[slot].image = image
    unsafe inFlight[slot].lease = lease.take()
    unsafe inFlight[slot].outstanding = 1
    queue(pieces, pieceCount, access, slot)
    endPart(slot)
    return true
  }

  private struct Piece {
    /// -1: zeroes.
    var descriptor: Int32 = -1
    var offset: UInt64 = 0
    var start: UInt64 = 0
    var byteCount: UInt64 = 0
    /// A write at once, by this thread.
    var isCopy = false
  }

  private func queue(_ pieces: InlineArray<8, Piece>, _ count: Int, _ access: ImageAccess, _ slot: Slot) {
    let isWhole = unsafe count == 1 && inFlight[slot].buffer.byteCount == pieces[0].byteCount
    // All pieces are cut before the first is queued: the array of parts may move while it grows.
    var ends = InlineArray<8, Int>(repeating: 0)
    if !isWhole {
      unsafe inFlight[slot].parts.removeAll()
      for index in 0..<count {
        unsafe inFlight[slot].parts.append(
          part: inFlight[slot].buffer, from: pieces[index].start, count: pieces[index].byteCount)
        ends[index] = unsafe inFlight[slot].parts.count
        // A piece may not be joined with the one before it.
        unsafe inFlight[slot].parts.closePiece()
      }
    } else {
      ends[0] = unsafe inFlight[slot].buffer.count
    }
    let vectors = unsafe isWhole ? inFlight[slot].buffer.pieces : inFlight[slot].parts.pieces
    for index in 0..<count {
      let first = index == 0 ? 0 : ends[index - 1]
      let vectorCount = ends[index] - first
      let piece = pieces[index]
      if piece.descriptor < 0 {
        for vector in first..<ends[index] {
          let part = unsafe vectors[vector]
          _ = unsafe part.iov_base.map { unsafe memset($0, 0, part.iov_len) }
        }
        continue
      }
      // Linux takes 1024 pieces of memory at a time.
      if piece.isCopy, vectorCount <= 1024, let offset = off_t(exactly: piece.offset) {
        let count = unsafe pwritev(piece.descriptor, vectors + first, Int32(vectorCount), offset)
        if count < 0 || UInt64(count) != piece.byteCount { unsafe inFlight[slot].mustRepeat = true }
        continue
      }
      guard vectorCount <= 1024, makeRoom() else {
        unsafe inFlight[slot].mustRepeat = true
        continue
      }
      unsafe inFlight[slot].outstanding += 1
      let userData = UInt64(slot) | piece.byteCount << 16
      if vectorCount == 1, let byteCount = unsafe UInt32(exactly: vectors[first].iov_len) {
        unsafe ring?.pointee.queue(
          access == .read ? IORING_OP_READ : IORING_OP_WRITE, descriptor: piece.descriptor, offset: piece.offset,
          address: vectors[first].iov_base, count: byteCount, userData: userData)
      } else {
        unsafe ring?.pointee.queue(
          access == .read ? IORING_OP_READV : IORING_OP_WRITEV, descriptor: piece.descriptor, offset: piece.offset,
          address: vectors + first, count: UInt32(vectorCount), userData: userData)
      }
    }
  }

  /// Room for an entry. False: the kernel takes none.
  private func makeRoom() -> Bool {
    if unsafe ring?.pointee.hasRoom == true { return true }
    _ = unsafe try? ring?.pointee.submit(wait: false)
    reap()
    return unsafe ring?.pointee.hasRoom == true
  }

  private func endPart(_ slot: Slot) {
    unsafe inFlight[slot].outstanding -= 1
    guard unsafe inFlight[slot].outstanding == 0 else { return }
    unsafe inFlight[slot].lease = nil
    unsafe inFlight[slot].image = nil
    guard let drive = unsafe inFlight[slot].drive else { return }
    if unsafe inFlight[slot].mustRepeat {
      unsafe inFlight[slot].mustRepeat = false
      return hand(slot, to: drive)
    }
    var mustFlush = false
    if case .write(let force) = unsafe inFlight[slot].request.operation {
      mustFlush = unsafe force || inFlight[slot].isDurable
    }
    if mustFlush { hand(slot, to: drive, flushOnly: true) } else { end(slot, .success) }
  }

  // MARK: The drive's threads

  /// A request on a drive's thread. Sound, because until its result this queue does not touch the place any more, and
  /// does not end.
  @safe private struct Handed: @unchecked Sendable {
    let place: UnsafeMutablePointer<InFlight>
    init(_ place: UnsafeMutablePointer<InFlight>) { unsafe self.place = place }
  }

  private func hand(_ slot: Slot, to drive: Drive, flushOnly: Bool = false) {
    let handed = unsafe Handed(inFlight + slot)
    let mailbox = mailbox
    drive.workers.run {
      let request = unsafe flushOnly ? DriveRequest(.flush) : handed.place.pointee.request
      let result = unsafe drive.perform(request, handed.place.pointee.buffer)
      mailbox.finished.withLock { $0.append((slot, result)) }
      mailbox.bell.ring()
    }
  }

  private func end(_ slot: Slot, _ result: DriveResult) {
    running -= 1
    if let drive = unsafe inFlight[slot].drive.take() {
      drive.statistics.count(unsafe inFlight[slot].request, result)
      drive.inFlight.wrappingSubtract(1, ordering: .releasing)
    }
    precondition(finishedCount < count, "a place was used again before its result was taken")
    let place = firstFinished + finishedCount
    unsafe (finished + (place < count ? place : place - count)).initialize(
      to: Finished(slot: slot, token: inFlight[slot].token, result: result))
    finishedCount += 1
  }

  // MARK: Sleep

  /// Hands what is queued to the kernel, and takes in what has ended. With `wait`, and nothing to take, it sleeps until
  /// something ends or the bell is rung. True: the bell was rung since the last time.
  public func step(wait: Bool) -> Bool {
    prepare()
    let mustSleep = wait && finishedCount == 0 && !wasRung
    if let ring = unsafe ring {
      if !listensToBell, makeRoom() {
        listensToBell = true
        unsafe ring.pointee.queue(
          IORING_OP_READ, descriptor: bell, offset: 0, address: bellCount, count: 8, userData: Self.bellMark)
      }
      // Without a sleep too: a guest that never lets its thread rest must not make it deaf for the bell.
      if unsafe mustSleep || !wait || ring.pointee.pending > 0 || running > 0 {
        _ = unsafe try? ring.pointee.submit(wait: mustSleep)
      }
      reap()
    } else {
      var polled = pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
      if unsafe poll(&polled, 1, mustSleep ? -1 : 0) > 0 {
        EventDescriptor.drain(bell)
        wasRung = true
      }
    }
    if wasRung {
      for (slot, result) in mailbox.finished.withLock({ finished in
        defer { finished.removeAll(keepingCapacity: true) }
        return finished
      }) { end(slot, result) }
    }
    defer { wasRung = false }
    return wasRung
  }

  private func reap() {
    while let completion = unsafe ring?.pointee.next() {
      if completion.userData == Self.bellMark {
        listensToBell = false
        wasRung = true
        continue
      }
      let slot = Int(completion.userData & 0xFFFF)
      if completion.result < 0 || UInt64(completion.result) != completion.userData >> 16 {
        unsafe inFlight[slot].mustRepeat = true
      }
      endPart(slot)
    }
  }
}
