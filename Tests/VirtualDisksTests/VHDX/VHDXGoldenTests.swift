// SPDX-License-Identifier: Apache-2.0

import Glibc
import StoreDoubles
import TestSupport
import Testing
import VMBus

@testable import VirtualDisks

/// Bytes as the specification lays them down, and files that another program made.
@Suite struct VHDXGoldenTests {
  /// CRC-32C of "123456789" and of 32 zero bytes: the check value of the polynomial, and RFC 3720 appendix B.4.
  @Test func `checksums`() {
    func crc(_ bytes: [UInt8]) -> UInt32 {
      var crc = CRC32C()
      unsafe bytes.withUnsafeBytes { unsafe crc.add($0) }
      return crc.value
    }
    #expect(crc(Array("123456789".utf8)) == 0xE306_9283)
    #expect(crc([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(crc([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    var pieces = CRC32C()
    unsafe Array("12345".utf8).withUnsafeBytes { unsafe pieces.add($0) }
    unsafe Array("6789".utf8).withUnsafeBytes { unsafe pieces.add($0) }
    #expect(pieces.value == 0xE306_9283)
  }

  /// [MS-VHDX] 2.2.2: "head", checksum, sequence number, three identifiers, versions, log length and offset.
  @Test func `a header, byte by byte`() {
    let header = VHDXHeader(
      sequenceNumber: 0x0102_0304_0506_0708, fileWriteIdentifier: GUID(text: "00112233-4455-6677-8899-aabbccddeeff")!,
      dataWriteIdentifier: GUID(text: "{10111213-1415-1617-1819-1a1b1c1d1e1f}")!, logByteCount: 0x10_0000,
      logOffset: 0x20_0000)
    let bytes = header.encoded()
    #expect(bytes.count == 4096)
    #expect(Array(bytes[..<4]) == Array("head".utf8))
    #expect(Array(bytes[8..<16]) == [8, 7, 6, 5, 4, 3, 2, 1])
    #expect(
      Array(bytes[16..<32]) == [
        0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF,
      ])
    #expect(Array(bytes[32..<36]) == [0x13, 0x12, 0x11, 0x10])
    #expect(Array(bytes[48..<64]) == [UInt8](repeating: 0, count: 16))
    #expect(Array(bytes[64..<80]) == [0, 0, 1, 0, 0, 0, 0x10, 0, 0, 0, 0x20, 0, 0, 0, 0, 0])
    #expect(bytes[80...].allSatisfy { $0 == 0 })
    #expect(VHDXHeader(decoding: bytes) == header)
    for count in [0, 79, 4095] { #expect(VHDXHeader(decoding: Array(bytes[..<count])) == nil) }
    for byte in 0..<80 {
      var changed = bytes
      changed[byte] ^= 0x10
      #expect(VHDXHeader(decoding: changed) == nil)
    }
  }

  /// [MS-VHDX] 2.3.1: "loge" and its fields, a "desc" with what the sector's marks displace, a "data" sector.
  @Test func `a log entry, byte by byte`() {
    let header = VHDXLogEntryHeader(
      entryByteCount: 8192, tail: 0x3000, sequenceNumber: 0x0A_0000_000B, descriptorCount: 1,
      logIdentifier: GUID(low: 1, high: 2), flushedFileByteCount: 0x40_0000, lastFileByteCount: 0x50_0000)
    let page = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }
    let bytes = header.encoded(with: [VHDXLogPage(offset: 0x30_0000, bytes: page)])
    #expect(Array(bytes[..<4]) == Array("loge".utf8))
    #expect(Array(bytes[8..<32]) == [0, 32, 0, 0, 0, 48, 0, 0, 11, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    #expect(Array(bytes[48..<64]) == [0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0])
    #expect(Array(bytes[64..<68]) == Array("desc".utf8))
    #expect(Array(bytes[68..<72]) == Array(page[4092...]) && Array(bytes[72..<80]) == Array(page[..<8]))
    #expect(Array(bytes[80..<96]) == [0, 0, 0x30, 0, 0, 0, 0, 0, 11, 0, 0, 0, 10, 0, 0, 0])
    #expect(Array(bytes[4096..<4104]) == Array("data".utf8) + [10, 0, 0, 0])
    #expect(Array(bytes[4104..<8188]) == Array(page[8..<4092]) && Array(bytes[8188...]) == [11, 0, 0, 0])
    #expect(bytes.little(UInt32.self, at: 4) == bytes.checksum(skippingFieldAt: 4))
    // 126 descriptors fit beside the header, 128 into each sector after that.
    #expect(VHDXLogEntryHeader.frontByteCount(descriptors: 126) == 4096)
    #expect(VHDXLogEntryHeader.frontByteCount(descriptors: 127) == 8192)
    #expect(VHDXLogEntryHeader.frontByteCount(descriptors: 126 + 128) == 8192)
    #expect(VHDXLogEntryHeader.frontByteCount(descriptors: .max) == (UInt64(UInt32.max) * 32 + 64 + 4095) / 4096 * 4096)
  }

  /// [MS-VHDX] 2.5: the chunk ratio's formula and where entries lie, computed by hand from it.
  @Test func `the block table's order`() {
    func geometry(_ size: UInt64, _ block: UInt64, _ sector: UInt64, parent: Bool = false) -> VHDXGeometry {
      VHDXGeometry(
        virtualByteCount: size, blockByteCount: block, logicalSectorByteCount: sector, physicalSectorByteCount: 4096,
        hasParent: parent, isFixed: false)
    }
    #expect(geometry(1 << 40, 32 << 20, 512).chunkRatio == 128)
    #expect(geometry(1 << 40, 1 << 20, 4096).chunkRatio == 32768)
    #expect(geometry(1 << 40, 256 << 20, 512).chunkRatio == 16)
    // 129 blocks of 32 MiB: 128, a bitmap, one more.
    #expect(geometry(129 * (32 << 20), 32 << 20, 512).entryCount == 130)
    #expect(geometry(128 * (32 << 20), 32 << 20, 512).entryCount == 128)
    #expect(geometry(129 * (32 << 20), 32 << 20, 512, parent: true).entryCount == 258)
    let one = geometry(1 << 40, 32 << 20, 512)
    #expect(one.entryIndex(ofBlock: 127) == 127 && one.entryIndex(ofBlock: 128) == 129)
    #expect(one.entryIndex(ofChunk: 0) == 128 && one.entryIndex(ofChunk: 1) == 257)
    for block in UInt64(0)..<1000 { #expect(one.block(ofEntry: one.entryIndex(ofBlock: block)) == block) }
    #expect(one.block(ofEntry: 128) == nil && one.block(ofEntry: 257) == nil)
  }

  @Test func `identifiers as text`() {
    let text = "2dc27766-f623-4200-9d64-115e9bfd4a08"
    #expect(VHDXFormat.blockTableRegion.plainText == text)
    #expect(GUID(text: text) == VHDXFormat.blockTableRegion)
    #expect(GUID(text: "{2DC27766-F623-4200-9D64-115E9BFD4A08}") == VHDXFormat.blockTableRegion)
    for wrong in [
      "", "{", text + "}", "{" + text, "2dc27766-f623-4200-9d64-115e9bfd4a0", "+dc27766" + text.dropFirst(8),
    ] {
      #expect(GUID(text: wrong) == nil)
    }
    let random = GUID.random()
    #expect(random.plainText.dropFirst(14).first == "4" && "89ab".contains(random.plainText.dropFirst(19).first!))
  }

  // MARK: qemu-img

  static let hasQEMU = unsafe access("/usr/bin/qemu-img", X_OK) == 0 && access("/usr/bin/qemu-io", X_OK) == 0

  /// Exit code and nothing else; output goes nowhere.
  private func run(_ words: String...) throws {
    let command = words.map { "'\($0)'" }.joined(separator: " ") + " >/dev/null 2>&1"
    let status = unsafe system(command)
    try #require(status == 0, "\(words.joined(separator: " ")): \(status)")
  }

  @Test(.enabled(if: hasQEMU, "needs qemu-img and qemu-io (Debian's qemu-utils)"), arguments: ["dynamic", "fixed"])
  func `a file of qemu-img is read, written, grown and passes its check`(_ subformat: String) throws {
    let place = try TemporaryFolder()
    let folder = place.path
    let path = "\(folder)/a.vhdx"
    try run(
      "qemu-img", "create", "-f", "vhdx", "-o", "subformat=\(subformat),block_size=1M", path, "\((6 << 20) + 4096)")
    try run("qemu-io", "-f", "vhdx", "-c", "write -P 0x5a 1M 128k", "-c", "write -P 0xa5 6M 4096", path)
    do {
      let image = try VHDXImage(opening: try FileStore(path: path, mode: .readWrite))
      #expect(image.information.kind == (subformat == "fixed" ? .fixed : .dynamic))
      #expect(image.information.virtualByteCount == (6 << 20) + 4096)
      #expect(try image.bytes(at: 1 << 20, count: 4096) == [UInt8](repeating: 0x5A, count: 4096))
      #expect(try image.bytes(at: 6 << 20, count: 4096) == [UInt8](repeating: 0xA5, count: 4096))
      #expect(try image.bytes(at: 0, count: 4096) == [UInt8](repeating: 0, count: 4096))
      try image.write([UInt8](repeating: 0x77, count: 8192), at: (3 << 20) - 4096)
      try image.discard(at: 1 << 20, count: 1 << 20)
      try image.resize(to: 9 << 20)
      try image.write([UInt8](repeating: 0x78, count: 512), at: (9 << 20) - 512)
      try image.close()
    }
    try run("qemu-img", "check", "-f", "vhdx", path)
    let discarded = subformat == "fixed" ? "0x5a" : "0"
    try run(
      "qemu-io", "-r", "-f", "vhdx", "-c", "read -P 0x77 \((3 << 20) - 4096) 8k",
      "-c", "read -P \(discarded) 1M 128k", "-c", "read -P 0xa5 6M 4k", "-c", "read -P 0 \((6 << 20) + 4096) 4k",
      "-c", "read -P 0x78 \((9 << 20) - 512) 512", path)
  }

  @Test(.enabled(if: hasQEMU, "needs qemu-img and qemu-io (Debian's qemu-utils)"))
  func `qemu-io replays our log`() throws {
    let place = try TemporaryFolder()
    let folder = place.path
    // A machine that was killed: the store is read away under the image, log and all.
    let store = CrashStore()
    try VHDXImage.create(.init(kind: .dynamic, virtualByteCount: 64 << 20, blockByteCount: 1 << 20), in: store)
    let image = try VHDXImage(opening: store)
    for block in UInt64(0)..<40 {
      try image.write([UInt8](repeating: UInt8(block + 1), count: 4096), at: block << 20)
      if block % 3 == 0 { try image.flush() }
    }
    try image.flush()
    let path = "\(folder)/a.vhdx"
    // As after a power failure: nothing that was not flushed, so the last pages are in the log only.
    let durable = store.journal.durable(after: store.journal.steps.count).contents
    do {
      let file = try FileStore(path: path, mode: .create)
      try file.write(try #require(durable.bytes(at: 0, count: Int(durable.byteCount))), at: 0)
    }
    // Opening to write replays; a read-only opening refuses.
    try run("qemu-img", "check", "-r", "all", "-f", "vhdx", path)
    try run("qemu-img", "check", "-f", "vhdx", path)
    for block in 0..<40 { try run("qemu-io", "-r", "-f", "vhdx", "-c", "read -P \(block + 1) \(block)M 4k", path) }
  }
}
