// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import Synchronization
import Testing

@testable import SoftwareMachine
@testable import VirtualDisks

/// Both ends of the file link in one process: real files, a socket pair for the port, memory for the window.
@Suite struct FileLinkTests {
  @Test func everyOperationReachesTheFile() throws {
    let pair = try LinkedFiles()
    let path = pair.file("disk.img", size: 1 << 20)
    let store = try pair.open(path)
    #expect(store.name == path && !store.isReadOnly && store.directDescriptor == nil)
    #expect(try store.byteCount() == 1 << 20)
    let text = Array("through the window".utf8)
    try store.write(text, at: 4000)
    #expect(try store.bytes(at: 4000, count: text.count) == text)
    try store.flush()
    try store.setByteCount(3 << 20)
    #expect(try store.byteCount() == 3 << 20)
    try store.write(text, at: (3 << 20) - 5)
    #expect(try store.byteCount() == (3 << 20) - 5 + UInt64(text.count), "a write beyond the end grows the file")
    try store.setByteCount(1 << 20)
    #expect(SystemFiles.bytes(at: path)?.count == 1 << 20)
    #expect(SystemFiles.bytes(at: path)?[4000..<4000 + text.count].elementsEqual(text) == true)
    do throws(StoreError) {
      try store.deallocate(at: 4096, count: 4096)
      #expect(try store.bytes(at: 4096, count: 4096) == [UInt8](repeating: 0, count: 4096))
    } catch {
      #expect(error.reason == .unsupported)
    }
    pair.stop()
  }

  @Test func largeTransfersArePiecesOfAllSizes() throws {
    let pair = try LinkedFiles()
    let store = try pair.open(pair.file("disk.img", size: 512))
    let slot = DataWindow.slotSize
    for (offset, count) in [(0, slot), (1, slot + 1), (511, 5 * slot - 3), (7, 80 * slot + 17)] {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8 &+ offset) }
      try store.write(bytes, at: UInt64(offset))
      #expect(try store.bytes(at: UInt64(offset), count: count) == bytes)
    }
    try store.write([], at: 0)
    pair.stop()
  }

  /// The words are those of the file opened here.
  @Test func errorsAreTheFilesOwn() throws {
    let pair = try LinkedFiles()
    let path = pair.file("disk.img", size: 100_352)
    let remote = try pair.open(path, writable: false)
    let local = try FileStore(path: path, mode: .readOnly)
    #expect(Self.errors(remote) == Self.errors(local))
    pair.stop()
  }

  @Test func openingFailsInTheWordsOfThisMachine() throws {
    let pair = try LinkedFiles()
    let path = pair.file("disk.img", size: 4096)
    for (path, writable) in [(pair.folder + "/none.img", true), (pair.folder, true), (path + "/x", false)] {
      var options = ImageChain.Options()
      options.format = .raw
      options.isWritable = writable
      pair.grants.allow(path, options)
      var errors: [ImageError?] = []
      for opener in [FileStoreOpener(), pair.opener] as [any StoreOpener] {
        do throws(ImageError) {
          _ = try ImageChain.open(path, options, opener: opener)
          errors.append(nil)
        } catch {
          errors.append(error)
        }
      }
      #expect(errors[0] != nil && errors[0] == errors[1])
    }
    pair.stop()
  }

  @Test func theLockIsHeldWhileTheStoreLives() throws {
    let pair = try LinkedFiles()
    let path = pair.file("disk.img", size: 4096)
    var store: (any ByteStore)? = try pair.open(path)
    #expect(try store?.byteCount() == 4096)
    #expect(throws: StoreError(name: path, operation: .lock, reason: .inUse)) {
      try FileStore(path: path, mode: .readWrite)
    }
    store = nil
    _ = try FileStore(path: path, mode: .readWrite)
    pair.stop()
  }

  @Test func aDifferencingChainOpensAndReads() throws {
    let pair = try LinkedFiles()
    let parent = pair.folder + "/parent.vhd"
    let child = pair.folder + "/child.vhd"
    try pair.makeChain(parent: parent, child: child)
    var options = ImageChain.Options()
    options.isWritable = true
    pair.grants.allow(child, options)
    let chain = try ImageChain.open(child, options, opener: pair.opener)
    #expect(chain.layers.map(\.path) == [child, parent])
    var bytes = [UInt8](repeating: 0, count: 512)
    try unsafe bytes.withUnsafeMutableBytes { try unsafe chain.image.read(at: 0, into: $0) }
    #expect(bytes == [UInt8](repeating: 0x5A, count: 512), "it lies in the parent")
    try unsafe bytes.withUnsafeBytes { try unsafe chain.image.write(at: 1 << 20, from: $0) }
    try chain.image.close()
    pair.stop()
  }

  /// What nobody named is not opened, and a name counts once.
  @Test func onlyWhatIsGrantedIsOpened() throws {
    let pair = try LinkedFiles()
    let path = pair.file("disk.img", size: 4096)
    let secret = pair.file("secret.img", size: 4096)
    _ = try pair.open(path)
    for path in [path, secret, "/etc/passwd", ""] {
      var options = ImageChain.Options()
      options.format = .raw
      let error = #expect(throws: ImageError.self) { try ImageChain.open(path, options, opener: pair.opener) }
      guard case .store(let reason) = error?.reason else { continue }
      #expect(reason.reason == .system(errno: EACCES))
    }
    pair.stop()
  }

  /// A parent that is no image grants nothing, not even the child.
  @Test func aChainThatDoesNotFitGivesNothing() throws {
    let pair = try LinkedFiles()
    let parent = pair.folder + "/parent.vhd"
    let child = pair.folder + "/child.vhd"
    try pair.makeChain(parent: parent, child: child)
    try SystemFiles.write(Array("password".utf8), to: parent)
    var options = ImageChain.Options()
    options.isWritable = true
    pair.grants.allow(child, options)
    let here = #expect(throws: ImageError.self) { try ImageChain.open(child, options) }
    let there = #expect(throws: ImageError.self) { try ImageChain.open(child, options, opener: pair.opener) }
    #expect(here == there)
    #expect(try FileStore(path: child, mode: .readWrite).byteCount() > 0, "nothing is left open")
    pair.stop()
  }

  @Test func manyThreadsAtOnce() throws {
    let pair = try LinkedFiles()
    let store = try pair.open(pair.file("disk.img", size: 40 << 16))
    let good = Atomic<Int>(0)
    threads(40) { number in
      let bytes = [UInt8](repeating: UInt8(number), count: 1 << 16)
      for _ in 0..<5 {
        guard (try? store.write(bytes, at: UInt64(number) << 16)) != nil,
          (try? store.bytes(at: UInt64(number) << 16, count: 1 << 16)) == bytes
        else { return }
      }
      good.add(1, ordering: .relaxed)
    }
    #expect(good.load(ordering: .relaxed) == 40)
    pair.stop()
  }

  @Test func whenTheOuterEndGoesEverybodyIsTold() throws {
    let pair = try LinkedFiles()
    let store = try pair.open(pair.file("disk.img", size: 1 << 20))
    let told = Atomic<Int>(0)
    threads(9) { number in
      if number == 8 {
        usleep(20_000)
        pair.server.stop()
        return
      }
      while true {
        do throws(StoreError) {
          _ = try store.bytes(at: 0, count: 100_000)
        } catch {
          if error.reason == .system(errno: ENOTCONN) { told.add(1, ordering: .relaxed) }
          return
        }
      }
    }
    #expect(told.load(ordering: .relaxed) == 8)
    #expect(throws: StoreError(name: store.name, operation: .size, reason: FileLink.gone, offset: 0)) {
      try store.byteCount()
    }
    pair.stop()
  }

  /// Runs `body` on so many threads at once, to their end.
  private func threads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let pool = WorkerPool(name: "test", limit: count)
    for number in 0..<count { pool.run { body(number) } }
    pool.finish()
  }

  /// What a read-only store of 100,352 bytes says to what it cannot do.
  private static func errors(_ store: any ByteStore) -> [String] {
    var errors: [String] = []
    func attempt(_ action: () throws -> Void) {
      do { try action() } catch { errors.append("\(error)") }
    }
    attempt { _ = try store.bytes(at: 65_000, count: 70_000) }
    attempt { _ = try store.bytes(at: .max - 3, count: 10) }
    attempt { try store.write([1], at: 5) }
    attempt { try store.setByteCount(5) }
    attempt { try store.deallocate(at: 512, count: 512) }
    attempt { try store.flush() }
    #expect(errors.count == 5)
    return errors
  }
}
