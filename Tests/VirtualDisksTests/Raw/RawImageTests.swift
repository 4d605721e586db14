// SPDX-License-Identifier: Apache-2.0

import StoreDoubles
import Testing

@testable import VirtualDisks

@Suite struct RawImageTests {
  private func store(_ count: Int) -> CrashStore {
    CrashStore(SparseBytes([UInt8](repeating: 0, count: count)), name: "disk.img")
  }

  @Test func readsWritesAndDiscards() throws {
    let store = store(1 << 20)
    let image = try RawImage.disk(store)
    try image.write([UInt8](repeating: 5, count: 1 << 19), at: 4096 - 512)
    let before = store.contents.allocatedByteCount
    try image.discard(at: 8192 - 512, count: 1 << 17)
    #expect(before - store.contents.allocatedByteCount >= (1 << 17) - 4096)
    #expect(
      try image.bytes(at: 8192 - 1024, count: 1024) == [UInt8](repeating: 5, count: 512)
        + [UInt8](repeating: 0, count: 512))
    try image.flush()
    #expect(image.information.canDiscard && image.information.kind == .fixed)
  }

  @Test func resizes() throws {
    let store = store(1 << 20)
    let image = try RawImage.disk(store, sectorByteCount: 4096)
    try image.write([UInt8](repeating: 5, count: 4096), at: 1 << 19)
    try image.resize(to: 2 << 20)
    #expect(try store.byteCount() == 2 << 20)
    #expect(throws: ImageError.self) { try image.resize(to: 1 << 19) }
    #expect(throws: ImageError.self) { try image.resize(to: (1 << 20) + 512) }
    #expect(throws: ImageError.self) { try image.resize(to: 0) }
    try image.resize(to: (1 << 19) + 4096)
    #expect(throws: ImageError.self) { try image.bytes(at: 1 << 20, count: 4096) }
  }

  @Test func sizesAndSectors() throws {
    #expect(throws: ImageError.self) { try RawImage.disk(store(0)) }
    #expect(throws: ImageError.self) { try RawImage.disk(store(1000)) }
    #expect(throws: ImageError.self) { try RawImage.disk(store(4608), sectorByteCount: 4096) }
    #expect(throws: ImageError.self) { try RawImage.disk(store(4096), sectorByteCount: 513) }
    #expect(throws: ImageError.self) {
      try RawImage.disk(store(4096), sectorByteCount: 4096, physicalSectorByteCount: 512)
    }
    let image = try RawImage.disk(store(8192), sectorByteCount: 4096)
    #expect(throws: ImageError.self) { try image.bytes(at: 512, count: 512) }
    #expect(throws: ImageError.self) { try image.bytes(at: 8192, count: 4096) }
  }

  @Test func isoIsReadOnly() throws {
    let image = try RawImage.iso(store(4096))
    #expect(image.information.logicalSectorByteCount == 2048 && image.information.isReadOnly)
    #expect(throws: ImageError.self) { try image.write([UInt8](repeating: 5, count: 2048), at: 0) }
    #expect(throws: ImageError.self) { try image.resize(to: 8192) }
    #expect(throws: ImageError.self) { try RawImage.iso(store(4096 + 512)) }
  }
}
