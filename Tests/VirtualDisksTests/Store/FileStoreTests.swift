// SPDX-License-Identifier: Apache-2.0

import Glibc
import StoreDoubles
import TestSupport
import Testing
import VirtualDisks

@Suite struct FileStoreTests {
  private func read(_ store: any ByteStore, _ offset: UInt64, _ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: count)
    try unsafe bytes.withUnsafeMutableBytes { buffer in try unsafe store.read(at: offset, into: buffer) }
    return bytes
  }

  private func write(_ store: any ByteStore, _ offset: UInt64, _ bytes: [UInt8]) throws {
    try unsafe bytes.withUnsafeBytes { buffer in try unsafe store.write(at: offset, from: buffer) }
  }

  private func reason(_ body: () throws -> Void) -> StoreError.Reason? {
    do { try body() } catch { return (error as? StoreError)?.reason }
    return nil
  }

  @Test func `files in memory are told from others`() throws {
    let path = "/dev/shm/lis-test-\(getpid())-memory"
    defer { unsafe unlink(path) }
    #expect(try FileStore(path: path, mode: .create).isInMemory)
    #expect(try !FileStore(path: "/proc/version", mode: .readOnly, lock: FileStore.Lock.none).isInMemory)
    #expect(!CrashStore(name: "double").isInMemory)
  }

  @Test func `a file and its double do the same`() throws {
    let place = try TemporaryFolder()
    let folder = place.path
    do {
      let stores: [any ByteStore] = [
        try FileStore(path: "\(folder)/a", mode: .create), CrashStore(name: "\(folder)/a"),
      ]
      for store in stores {
        try write(store, 5000, [1, 2, 3])
        #expect(try store.byteCount() == 5003)
        #expect(try read(store, 4999, 4) == [0, 1, 2, 3])
        #expect(reason { _ = try read(store, 5000, 4) } == .endOfFile)
        try store.setByteCount(5001)
        try store.setByteCount(9000)
        #expect(try read(store, 5000, 4) == [1, 0, 0, 0])
        try write(store, 0, [UInt8](repeating: 9, count: 9000))
        try store.deallocate(at: 4096, count: 4096)
        #expect(try read(store, 4095, 2) == [9, 0])
        #expect(try read(store, 8191, 2) == [0, 9])
        #expect(try store.byteCount() == 9000)
        try store.reserve(at: 8192, count: 4096)
        #expect(try store.byteCount() == 12288)
        try store.flush()
      }
    }
  }

  @Test func `a writer excludes everybody, a reader excludes writers`() throws {
    let place = try TemporaryFolder()
    let folder = place.path
    do {
      let path = "\(folder)/a"
      var writer: FileStore? = try FileStore(path: path, mode: .create)
      #expect(reason { _ = try FileStore(path: path, mode: .readWrite) } == .inUse)
      #expect(reason { _ = try FileStore(path: path, mode: .readOnly) } == .inUse)
      _ = try FileStore(path: path, mode: .readOnly, lock: FileStore.Lock.none)
      withExtendedLifetime(writer) {}
      writer = nil
      let readers = [try FileStore(path: path, mode: .readOnly), try FileStore(path: path, mode: .readOnly)]
      #expect(reason { _ = try FileStore(path: path, mode: .readWrite) } == .inUse)
      #expect(reason { try write(readers[0], 0, [1]) } == .readOnly)
    }
  }

  @Test func `what is no file of a disk`() throws {
    let place = try TemporaryFolder()
    let folder = place.path
    do {
      #expect(reason { _ = try FileStore(path: "\(folder)/none", mode: .readOnly) } == .system(errno: ENOENT))
      #expect(reason { _ = try FileStore(path: folder, mode: .readOnly) } == .unsupported)
      #expect(unsafe mkfifo("\(folder)/pipe", 0o600) == 0)
      #expect(reason { _ = try FileStore(path: "\(folder)/pipe", mode: .readOnly) } == .unsupported)
      _ = try FileStore(path: "\(folder)/a", mode: .create)
      #expect(reason { _ = try FileStore(path: "\(folder)/a", mode: .create) } == .system(errno: EEXIST))
      let store = try FileStore(path: "\(folder)/a", mode: .readWrite)
      #expect(reason { try store.setByteCount(.max) } == .system(errno: EFBIG))
      #expect(reason { try write(store, .max - 4, [1]) } == .system(errno: EFBIG))
    }
  }

  @Test func `what a power failure leaves`() throws {
    let store = CrashStore()
    try write(store, 0, [UInt8](repeating: 1, count: 2048))
    try store.flush()
    try write(store, 512, [UInt8](repeating: 2, count: 1024))
    try store.setByteCount(4096)
    let journal = store.journal
    #expect(journal.flushBoundaries == [2])
    let (contents, pending) = journal.durable(after: journal.steps.count)
    #expect(contents.bytes(at: 0, count: 2048) == [UInt8](repeating: 1, count: 2048) && pending.count == 2)
    var generator = SeededGenerator(1)
    var seen: Set<[UInt8]> = []
    for _ in 0..<200 {
      let left = CrashJournal.survivors(contents, pending: pending, .torn, using: &generator)
      seen.insert(
        try #require(left.bytes(at: 0, count: 2048)).enumerated().filter { $0.offset % 512 == 0 }.map(\.element))
    }
    #expect(seen == [[1, 1, 1, 1], [1, 2, 1, 1], [1, 1, 2, 1], [1, 2, 2, 1]])
  }
}
