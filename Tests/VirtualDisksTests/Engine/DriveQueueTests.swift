// SPDX-License-Identifier: Apache-2.0

import Glibc
import StoreDoubles
import Synchronization
import TestSupport
import Testing
import VMBus

@testable import VirtualDisks

/// The queue on real files, by io_uring and without it, against an array that says what must be there.
@Suite struct DriveQueueTests {
  static let size: UInt64 = 8 << 20

  static func image(in folder: TemporaryFolder) throws -> RawImage {
    let store = try FileStore(path: folder["disk.img"], mode: .create)
    try store.setByteCount(size)
    return try RawImage.disk(store)
  }

  /// Guest memory of a test.
  @safe final class Memory {
    let bytes: UnsafeMutableRawBufferPointer
    init(_ count: Int) {
      unsafe bytes = .allocate(byteCount: count, alignment: 4096)
      unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }
    deinit { unsafe bytes.deallocate() }
    func fill(_ seed: UInt8, _ range: Range<Int>) {
      for index in range { unsafe bytes[index] = UInt8(truncatingIfNeeded: index &* 7) &+ seed }
    }
    func copy(_ range: Range<Int>) -> [UInt8] { unsafe [UInt8](bytes[range]) }
    func address(_ offset: Int) -> UnsafeMutableRawPointer { unsafe bytes.baseAddress.unsafelyUnwrapped + offset }
  }

  static func drive(_ image: any DiskImage, readOnly: Bool = false) -> Drive {
    Drive(
      name: "test", medium: image,
      characteristics: DriveCharacteristics(
        byteCount: image.information.virtualByteCount, isReadOnly: readOnly, discardGranularity: 4096,
        identifier: GUID(1, 2, 3, 4, 5)))
  }

  /// Runs one request over pieces of memory and waits for its result.
  static func run(
    _ queue: DriveQueue, _ request: DriveRequest, _ drive: Drive, _ memory: Memory, _ pieces: [Range<Int>] = []
  ) throws -> DriveResult {
    let slot = try #require(queue.reserve())
    for piece in pieces { unsafe queue.append(memory.address(piece.lowerBound), count: piece.count, to: slot) }
    queue.start(request, on: drive, token: 42, in: slot)
    while true {
      if let finished = queue.takeFinished() {
        #expect(finished.token == 42 && finished.slot == slot)
        queue.release(slot)
        return finished.result
      }
      _ = queue.step(wait: true)
    }
  }

  @Test(arguments: [true, false]) func readsWhatWasWritten(usesRing: Bool) throws {
    let folder = try TemporaryFolder()
    let image = try Self.image(in: folder)
    let drive = Self.drive(image)
    let queue = DriveQueue(slots: 4, bell: try DriveBell(), usesRing: usesRing)
    defer {
      queue.close()
      drive.stop()
    }
    let memory = Memory(1 << 20)
    memory.fill(3, 0..<65536)
    // Pieces out of order, one of them no multiple of a sector.
    let pieces = [8192..<12288, 0..<1000, 1000..<4096]
    #expect(
      try Self.run(
        queue, DriveRequest(.write(forceUnitAccess: false), byteOffset: 512, byteCount: 8192), drive, memory, pieces)
        == .success)
    #expect(
      try Self.run(queue, DriveRequest(.read, byteOffset: 512, byteCount: 8192), drive, memory, [70000..<78192])
        == .success)
    #expect(memory.copy(70000..<78192) == memory.copy(8192..<12288) + memory.copy(0..<4096))
    #expect(drive.statistics.figures.writtenBytes == 8192 && drive.statistics.figures.readBytes == 8192)
    #expect(drive.executing == 0)
  }

  @Test(arguments: [true, false]) func everyOperation(usesRing: Bool) throws {
    let folder = try TemporaryFolder()
    let drive = Self.drive(try Self.image(in: folder))
    let queue = DriveQueue(slots: 4, bell: try DriveBell(), usesRing: usesRing)
    defer {
      queue.close()
      drive.stop()
    }
    let memory = Memory(1 << 16)
    memory.fill(9, 0..<8192)
    func run(_ operation: DriveOperation, _ offset: UInt64, _ count: UInt64, _ pieces: [Range<Int>] = []) throws
      -> DriveResult
    { try Self.run(queue, DriveRequest(operation, byteOffset: offset, byteCount: count), drive, memory, pieces) }
    #expect(try run(.write(forceUnitAccess: true), 0, 8192, [0..<8192]) == .success)
    #expect(try run(.flush, 0, 0) == .success)
    #expect(try run(.compare, 0, 8192, [0..<8192]) == .success)
    memory.fill(9, 0..<8192)
    unsafe memory.bytes[5000] ^= 1
    #expect(try run(.compare, 0, 8192, [0..<8192]) == .failure(.miscompare, at: 5000))
    #expect(try run(.verify, 0, 1 << 20) == .success)
    #expect(try run(.discard, 4096, 4096) == .success)
    #expect(try run(.read, 4096, 4096, [16384..<20480]) == .success)
    #expect(memory.copy(16384..<20480).allSatisfy { $0 == 0 })
    #expect(try run(.writeSame(mayUnmap: false), 1 << 20, 1 << 20, [0..<512]) == .success)
    #expect(try run(.read, (2 << 20) - 512, 512, [20480..<20992]) == .success)
    #expect(memory.copy(20480..<20992) == memory.copy(0..<512))
    #expect(try run(.writeZeroes(mayUnmap: true), 1 << 20, 1 << 20) == .success)
    #expect(try run(.read, 1 << 20, 512, [20480..<20992]) == .success)
    #expect(memory.copy(20480..<20992).allSatisfy { $0 == 0 })
  }

  @Test func refusals() throws {
    let folder = try TemporaryFolder()
    let image = try Self.image(in: folder)
    let drive = Self.drive(image)
    let queue = DriveQueue(slots: 2, bell: try DriveBell())
    defer {
      queue.close()
      drive.stop()
    }
    let memory = Memory(8192)
    func run(_ request: DriveRequest, _ pieces: [Range<Int>] = [0..<512]) throws -> DriveResult {
      try Self.run(queue, request, drive, memory, pieces)
    }
    #expect(try run(DriveRequest(.read, byteOffset: Self.size, byteCount: 512)) == .failure(.outOfRange))
    #expect(try run(DriveRequest(.read, byteOffset: .max - 511, byteCount: 512)) == .failure(.outOfRange))
    #expect(try run(DriveRequest(.read, byteOffset: 100, byteCount: 512)) == .failure(.outOfRange))
    #expect(try run(DriveRequest(.read, byteOffset: 0, byteCount: 1024)) == .failure(.badBuffer))
    let readOnly = Self.drive(image, readOnly: true)
    #expect(
      try Self.run(queue, DriveRequest(.write(forceUnitAccess: false), byteCount: 512), readOnly, memory, [0..<512])
        == .failure(.readOnly))
    readOnly.stop()
    #expect(
      try Self.run(queue, DriveRequest(.read, byteCount: 512), readOnly, memory, [0..<512]) == .failure(.mediumAbsent))
  }

  /// Results come in the order in which the requests ended, however many of them wait, and some may be left at the end.
  @Test func resultsWaitInOrder() throws {
    let folder = try TemporaryFolder()
    let drive = Self.drive(try Self.image(in: folder))
    let queue = DriveQueue(slots: 5, bell: try DriveBell())
    defer {
      queue.close()
      drive.stop()
    }
    var (begun, ended): (UInt64, UInt64) = (0, 0)
    for (starts, takes) in [(5, 3), (3, 4), (4, 0), (0, 5), (1, 1), (5, 3), (3, 3)] {
      for _ in 0..<starts {
        let slot = try #require(queue.reserve())
        queue.start(DriveRequest(.read, byteOffset: Self.size, byteCount: 512), on: drive, token: begun, in: slot)
        begun += 1
      }
      #expect(queue.executing == 0)
      for _ in 0..<takes {
        let finished = try #require(queue.takeFinished())
        #expect(finished.token == ended && finished.result == .failure(.outOfRange))
        queue.release(finished.slot)
        ended += 1
      }
      if begun == ended { #expect(queue.takeFinished() == nil) }
    }
    #expect(begun - ended == 2 && drive.executing == 0)
  }

  /// Errors and short transfers below the format, by the way without io_uring (doubles have no descriptor).
  /// A file whose descriptor cannot be written to, said to be in memory.
  private final class Unwritable: ByteStore {
    let inner: FileStore
    let descriptor: Int32
    init(_ path: String) throws {
      inner = try FileStore(path: path, mode: .readWrite)
      descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    }
    deinit { Glibc.close(descriptor) }
    var name: String { inner.name }
    var isReadOnly: Bool { false }
    var isInMemory: Bool { true }
    var directDescriptor: Int32? { descriptor }
    func byteCount() throws(StoreError) -> UInt64 { try inner.byteCount() }
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
      try unsafe inner.read(at: offset, into: buffer)
    }
    func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(StoreError) {
      try unsafe inner.write(at: offset, from: buffer)
    }
    func flush() throws(StoreError) { try inner.flush() }
    func setByteCount(_ count: UInt64) throws(StoreError) { try inner.setByteCount(count) }
    func deallocate(at offset: UInt64, count: UInt64) throws(StoreError) {
      try inner.deallocate(at: offset, count: count)
    }
  }

  @Test(arguments: [true, false]) func aWriteToMemoryEndsAtOnce(works: Bool) throws {
    let path = "/dev/shm/lis-test-\(getpid())-\(works)"
    defer { unsafe unlink(path) }
    try FileStore(path: path, mode: .create).setByteCount(Self.size)
    let store: any ByteStore = try works ? FileStore(path: path, mode: .readWrite) : Unwritable(path)
    #expect(store.isInMemory)
    let image = try RawImage.disk(store)
    let drive = Self.drive(image)
    let memory = Memory(256 << 10)
    memory.fill(3, 0..<256 << 10)
    let queue = DriveQueue(slots: 2, bell: try DriveBell())
    _ = queue.step(wait: false)
    try #require(queue.usesRing)
    for (count, isShort) in [(4096, true), (64 << 10, true), (128 << 10, false)] {
      let slot = try #require(queue.reserve())
      // Two pieces that do not follow one another.
      unsafe queue.append(memory.address(512), count: 512, to: slot)
      unsafe queue.append(memory.address(4096), count: count - 512, to: slot)
      queue.start(
        DriveRequest(.write(forceUnitAccess: false), byteOffset: 8192, byteCount: UInt64(count)), on: drive, token: 1,
        in: slot)
      var finished = queue.takeFinished()
      // What failed is done again by the drive's threads.
      #expect((finished != nil) == (works && isShort), "\(count) bytes")
      while finished == nil {
        _ = queue.step(wait: true)
        finished = queue.takeFinished()
      }
      #expect(finished?.result == .success)
      queue.release(slot)
      let expected = memory.copy(512..<1024) + memory.copy(4096..<4096 + count - 512)
      #expect(try image.bytes(at: 8192, count: count) == expected)
    }
    queue.close()
    drive.stop()
  }

  @Test func faultsBelow() throws {
    let folder = try TemporaryFolder()
    let file = try FileStore(path: "\(folder.path)/disk.img", mode: .create)
    try file.setByteCount(Self.size)
    let store = FaultStore(file)
    let drive = Self.drive(try RawImage.disk(store))
    let queue = DriveQueue(slots: 2, bell: try DriveBell())
    defer {
      queue.close()
      drive.stop()
    }
    let memory = Memory(8192)
    store.add(FaultStore.Fault(.read, times: 1, .fail(.system(errno: EIO))))
    #expect(try Self.run(queue, DriveRequest(.read, byteCount: 512), drive, memory, [0..<512]) == .failure(.readFailed))
    #expect(try Self.run(queue, DriveRequest(.read, byteCount: 512), drive, memory, [0..<512]) == .success)
    store.add(FaultStore.Fault(.flush, times: 1, .fail(.system(errno: EIO))))
    #expect(try Self.run(queue, DriveRequest(.flush), drive, memory) == .failure(.writeFailed))
    // Nobody watches for space: the guest hears of it.
    store.add(FaultStore.Fault(.write, times: 1, .fail(.noSpace)))
    #expect(
      try Self.run(queue, DriveRequest(.write(forceUnitAccess: false), byteCount: 512), drive, memory, [0..<512])
        == .failure(.noSpace))
    #expect(drive.statistics.figures.failures == 3)
  }

  final class SpaceWatch: DriveSpaceObserver {
    let waits = Atomic<Int>(0)
    let ends = Atomic<Int>(0)
    func driveWaitsForSpace(_ drive: Drive) { waits.add(1, ordering: .sequentiallyConsistent) }
    func driveHasSpace(_ drive: Drive) { ends.add(1, ordering: .sequentiallyConsistent) }
  }

  /// A full disk delays a write until there is room, and the observer is told at both ends.
  @Test func aFullDiskDelays() throws {
    let folder = try TemporaryFolder()
    let file = try FileStore(path: "\(folder.path)/disk.img", mode: .create)
    try file.setByteCount(Self.size)
    let store = FaultStore(file)
    let drive = Self.drive(try RawImage.disk(store))
    let watch = SpaceWatch()
    drive.observeSpace(watch)
    let queue = DriveQueue(slots: 2, bell: try DriveBell())
    defer {
      queue.close()
      drive.stop()
    }
    let memory = Memory(8192)
    store.add(FaultStore.Fault(.write, times: 2, .fail(.noSpace)))
    #expect(
      try Self.run(queue, DriveRequest(.write(forceUnitAccess: false), byteCount: 512), drive, memory, [0..<512])
        == .success)
    #expect(watch.waits.load(ordering: .sequentiallyConsistent) == 1)
    #expect(watch.ends.load(ordering: .sequentiallyConsistent) == 1)
    // A machine that is reset does not wait.
    store.add(FaultStore.Fault(.write, .fail(.noSpace)))
    let slot = try #require(queue.reserve())
    unsafe queue.append(memory.address(0), count: 512, to: slot)
    queue.start(DriveRequest(.write(forceUnitAccess: false), byteCount: 512), on: drive, token: 1, in: slot)
    while watch.waits.load(ordering: .sequentiallyConsistent) < 2 { usleep(1000) }
    drive.giveUpWaiting()
    while queue.executing > 0 { _ = queue.step(wait: true) }
    #expect(queue.takeFinished()?.result == .failure(.noSpace))
    queue.release(slot)
  }

  /// 5,000 requests, up to 16 at a time, on disjoint parts of the disk.
  @Test(arguments: [true, false]) func manyAtATime(usesRing: Bool) throws {
    let folder = try TemporaryFolder()
    let drive = Self.drive(try Self.image(in: folder))
    let queue = DriveQueue(slots: 16, bell: try DriveBell(), usesRing: usesRing)
    defer {
      queue.close()
      drive.stop()
    }
    // Slot n owns the n-th part of the disk and of the memory.
    let part = Int(Self.size) / 16
    let memory = Memory(16 * 32768)
    var model = [UInt8](repeating: 0, count: Int(Self.size))
    var random = SystemRandomNumberGenerator()
    var pending: [Int: (range: Range<Int>, isRead: Bool)] = [:]
    var started = 0
    var ended = 0
    while ended < 5000 {
      while started < 5000, let slot = queue.reserve() {
        let count = Int.random(in: 1...32, using: &random) * 512
        let offset = slot * part + Int.random(in: 0...(part - count) / 512, using: &random) * 512
        let isRead = Bool.random(using: &random)
        let base = slot * 32768
        if !isRead {
          let seed = UInt8.random(in: 0...255, using: &random)
          memory.fill(seed, base..<base + count)
          model.replaceSubrange(offset..<offset + count, with: memory.copy(base..<base + count))
        }
        // In up to three pieces.
        let cut = Int.random(in: 0...count, using: &random)
        if cut > 0 { unsafe queue.append(memory.address(base), count: cut, to: slot) }
        if cut < count { unsafe queue.append(memory.address(base + cut), count: count - cut, to: slot) }
        pending[slot] = (offset..<offset + count, isRead)
        queue.start(
          DriveRequest(
            isRead ? .read : .write(forceUnitAccess: false), byteOffset: UInt64(offset), byteCount: UInt64(count)),
          on: drive, token: UInt64(slot), in: slot)
        started += 1
      }
      _ = queue.step(wait: true)
      while let finished = queue.takeFinished() {
        #expect(finished.result == .success)
        let found = pending.removeValue(forKey: finished.slot)
        let (range, isRead) = try #require(found)
        if isRead {
          let base = finished.slot * 32768
          #expect(memory.copy(base..<base + range.count) == Array(model[range]))
        }
        queue.release(finished.slot)
        ended += 1
      }
    }
    #expect(queue.executing == 0 && drive.executing == 0)
  }

  @Test(arguments: [true, false]) func theBellEndsTheSleep(usesRing: Bool) throws {
    let bell = try DriveBell()
    let queue = DriveQueue(slots: 1, bell: bell, usesRing: usesRing)
    defer { queue.close() }
    #expect(!queue.step(wait: false))
    bell.ring()
    #expect(queue.step(wait: true))
    #expect(!queue.step(wait: false))
    bell.ring()
    bell.ring()
    #expect(queue.step(wait: true))
    // One that never sleeps hears it as well.
    #expect(!queue.step(wait: false))
    bell.ring()
    #expect(queue.step(wait: false))
  }
}
