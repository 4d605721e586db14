// SPDX-License-Identifier: Apache-2.0

import Glibc
import StoreDoubles
import Testing

@testable import VirtualDisks

/// A file below that fails, fills up, or can do less than others.
@Suite struct VHDXFaultTests {
  static let sector = [UInt8](repeating: 0x42, count: 512)

  private func make(kind: ImageKind = .dynamic) throws -> (CrashStore, FaultStore, VHDXImage) {
    let store = CrashStore()
    try VHDXImage.create(.init(kind: kind, virtualByteCount: 32 << 20, blockByteCount: 1 << 20), in: store)
    let faults = FaultStore(store)
    let image = try VHDXImage(opening: faults)
    try image.write(Self.sector, at: 0)
    try image.flush()
    return (store, faults, image)
  }

  private func reason(_ body: () throws -> Void) -> ImageError.Reason? {
    do { try body() } catch { return (error as? ImageError)?.reason }
    return nil
  }

  @Test func `a failed log poisons the image, which goes on reading`() throws {
    let (store, faults, image) = try make()
    faults.add(.init(.write, in: 1 << 20..<2 << 20, .fail(.system(errno: EIO))))
    try image.write(Self.sector, at: 5 << 20)
    #expect(throws: ImageError.self) { try image.flush() }
    faults.clear()
    #expect(reason { try image.write(Self.sector, at: 0) } == .poisoned)
    #expect(reason { try image.flush() } == .poisoned)
    #expect(reason { try image.discard(at: 0, count: 1 << 20) } == .poisoned)
    #expect(reason { _ = try image.extent(at: 0, count: 512, for: .write) } == .poisoned)
    #expect(try image.bytes(at: 5 << 20, count: 512) == Self.sector)
    try image.close()
    let again = try VHDXImage(opening: store)
    #expect(try again.bytes(at: 0, count: 512) == Self.sector)
    #expect(try again.bytes(at: 5 << 20, count: 512) == [UInt8](repeating: 0, count: 512))
  }

  @Test func `a failed flush poisons the image`() throws {
    let (_, faults, image) = try make()
    faults.add(.init(.flush, times: 1, .fail(.system(errno: EIO))))
    #expect(throws: ImageError.self) { try image.flush() }
    #expect(reason { try image.flush() } == .poisoned)
  }

  @Test func `a host without space loses nothing, and all goes on when there is some`() throws {
    let (store, faults, image) = try make()
    faults.add(.init(.resize, .fail(.noSpace)))
    // The room that the file grew by at once is used up first.
    var block: UInt64 = 1
    while block < 31, reason({ try image.write(Self.sector, at: block << 20) }) == nil { block += 1 }
    #expect(
      reason { try image.write(Self.sector, at: block << 20) } == .store(faults.error(.resize, .noSpace, at: 36 << 20)))
    let error = #expect(throws: ImageError.self) { try image.write(Self.sector, at: block << 20) }
    #expect(error?.isNoSpace == true)
    try image.flush()
    // The log, then the pages in place, have no space.
    faults.clear()
    try image.write(Self.sector, at: block << 20)
    faults.add(.init(.write, in: 1 << 20..<2 << 20, .fail(.noSpace)))
    #expect(throws: ImageError.self) { try image.flush() }
    faults.clear()
    faults.add(.init(.write, in: 3 << 20..<4 << 20, .fail(.noSpace)))
    try image.flush()
    try image.write(Self.sector, at: 31 << 20)
    #expect(throws: ImageError.self) { try image.flush() }
    faults.clear()
    try image.flush()
    // The machine is killed here.
    let again = try VHDXImage(opening: CrashStore(store.journal.durable(after: .max).contents))
    for written in 0...block { #expect(try again.bytes(at: written << 20, count: 512) == Self.sector) }
    #expect(try again.bytes(at: 31 << 20, count: 512) == Self.sector)
  }

  @Test func `a read that fails is an error of that read alone`() throws {
    let (_, faults, image) = try make()
    faults.add(.init(.read, in: 4 << 20..<5 << 20, .partial(count: 100, .system(errno: EIO))))
    let error = #expect(throws: ImageError.self) { try image.bytes(at: 0, count: 512) }
    #expect(error?.description.contains("byte \((4 << 20) + 100)") == true)
    faults.clear()
    #expect(try image.bytes(at: 0, count: 512) == Self.sector)
    try image.write(Self.sector, at: 0)
  }

  @Test func `without holes freed blocks are zeroed before they are used again`() throws {
    let (store, faults, image) = try make()
    faults.add(.init(.deallocate, .fail(.unsupported)))
    let full = [UInt8](repeating: 7, count: 1 << 20)
    for round in 0..<6 {
      for block in 0..<8 { try image.write(full, at: UInt64(block) << 20) }
      try image.flush()
      try image.discard(at: 0, count: 8 << 20)
      try image.flush()
      try image.write(Self.sector, at: UInt64(round) << 20)
      #expect(try image.bytes(at: (UInt64(round) << 20) + 512, count: 512) == [UInt8](repeating: 0, count: 512))
    }
    try image.close()
    // 8 blocks and their zeroed copies: space is used again, not only taken.
    #expect(store.contents.byteCount < 24 << 20)
  }

  @Test func `discarded space goes back to the host and is used again`() throws {
    let (store, _, image) = try make()
    let full = [UInt8](repeating: 7, count: 16 << 20)
    for _ in 0..<10 {
      try image.write(full, at: 0)
      try image.flush()
      try image.discard(at: 0, count: 16 << 20)
      try image.flush()
      try image.flush()
      #expect(store.contents.allocatedByteCount < 3 << 20)
    }
    try image.close()
    #expect(store.contents.byteCount <= 5 << 20)
  }

  @Test func `blocks freed under a lease are neither punched nor used until it ends`() throws {
    let (store, _, image) = try make()
    try image.write([UInt8](repeating: 7, count: 1 << 20), at: 0)
    var held: IOLease? = image.beginIO()
    guard case .file(_, let place) = try image.extent(at: 0, count: 4096, for: .write).place else {
      Issue.record("the block is not in the file")
      return
    }
    try image.discard(at: 0, count: 1 << 20)
    for _ in 0..<3 {
      try image.flush()
      try image.write([UInt8](repeating: 8, count: 1 << 20), at: 2 << 20)
      try image.discard(at: 2 << 20, count: 1 << 20)
    }
    #expect(store.contents.bytes(at: place, count: 4096) == [UInt8](repeating: 7, count: 4096))
    _ = held.take()
    try image.flush()
    try image.flush()
    #expect(store.contents.bytes(at: place, count: 4096) == [UInt8](repeating: 0, count: 4096))
  }

  @Test func `an image that is only read changes nothing, and a closed one does nothing`() throws {
    let store = CrashStore()
    try VHDXImage.create(.init(kind: .dynamic, virtualByteCount: 32 << 20), in: store)
    let before = store.contents
    let image = try VHDXImage(opening: store)
    _ = try image.bytes(at: 0, count: 4096)
    try image.flush()
    try image.close()
    try image.close()
    #expect(store.contents == before)
    #expect(reason { _ = try image.bytes(at: 0, count: 512) } == .closed)
    #expect(reason { try image.write(Self.sector, at: 0) } == .closed)
    #expect(reason { try image.flush() } == .closed)
  }

  @Test func `what a child remembers changes with the data, and only then`() throws {
    let store = CrashStore()
    try VHDXImage.create(.init(kind: .dynamic, virtualByteCount: 32 << 20), in: store)
    func headers() throws -> VHDXHeader { try VHDXHeaders(in: store).current }
    let made = try headers()
    let image = try VHDXImage(opening: store)
    try image.write(Self.sector, at: 0)
    let writing = try headers()
    #expect(writing.dataWriteIdentifier != made.dataWriteIdentifier)
    #expect(writing.fileWriteIdentifier != made.fileWriteIdentifier)
    #expect(writing.logIdentifier != .zero)
    #expect(image.information.identifier == writing.dataWriteIdentifier)
    try image.close()
    let closed = try headers()
    #expect(closed.logIdentifier == .zero && closed.dataWriteIdentifier == writing.dataWriteIdentifier)
    let copy = try VHDXImage(try VHDXStructure(reading: store), parent: nil, keepsIdentifier: true)
    try copy.write(Self.sector, at: 512)
    #expect(copy.information.identifier == closed.dataWriteIdentifier)
  }
}
