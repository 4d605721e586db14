// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@Suite struct FileCopyMessageTests {
  @Test func goldenStart() throws {
    let golden = body(Golden.copyStart.bytes)
    #expect(golden.count == FileCopyStart.bodySize)
    let start = try FileCopyStart(decoding: golden.wire)
    #expect(
      start == FileCopyStart(flags: .overwrite.union(.createPath), size: 0x1122_3344_5566_7788))
    let written = try bytes(FileCopyStart.bodySize) {
      try start.encode(into: &$0)
      _ = try WireText.utf16(from: Array("a.txt".utf8).wire, into: &$0, at: FileCopyStart.nameOffset, units: 260)
      _ = try WireText.utf16(from: Array("/tmp".utf8).wire, into: &$0, at: FileCopyStart.folderOffset, units: 260)
    }
    #expect(written == golden)
    cut(golden, needed: FileCopyStart.bodySize) { try FileCopyStart(decoding: $0) }
  }

  @Test func goldenWrite() throws {
    let golden = body(Golden.copyWrite.bytes)
    #expect(golden.count == FileCopyWrite.bodySize)
    let write = try FileCopyWrite(decoding: golden.wire)
    #expect(write == FileCopyWrite(offset: 0x1122_3344_5566, count: 3))
    let written = try bytes(FileCopyWrite.bodySize) {
      try write.encode(into: &$0)
      try $0.write(Array("abc".utf8).wire, at: FileCopyWrite.dataOffset)
      try $0.write(UInt8(0xFF), at: FileCopyWrite.bodySize - 1)
    }
    #expect(written == golden)
    cut(golden, needed: FileCopyWrite.bodySize) { try FileCopyWrite(decoding: $0) }
  }

  @Test(arguments: [6145, 0x7FFF_FFFF, 0xFFFF_FFFF] as [UInt32]) func fragmentsLargerThanTheirField(count: UInt32)
    throws
  {
    let wrong = try bytes(FileCopyWrite.bodySize) { try FileCopyWrite(offset: 0, count: count).encode(into: &$0) }
    #expect(throws: WireError.invalid(offset: 48)) { try FileCopyWrite(decoding: wrong.wire) }
  }

  @Test func goldenCancel() throws {
    let golden = body(Golden.copyCancel.bytes)
    #expect(try FileCopyHeader(decoding: golden.wire).operation == .cancel)
    let written = try bytes(FileCopyHeader.wireSize) { try FileCopyHeader(operation: .cancel).encode(into: &$0) }
    #expect(written == golden)
    cut(golden, needed: FileCopyHeader.wireSize) { try FileCopyHeader(decoding: $0) }
  }
}
