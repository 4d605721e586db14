// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Partition

@Suite struct GuestMemoryTests {
  @Test func holeIsNotMemory() throws {
    // Address space only: nothing of it is touched but a few pages.
    let memory = try GuestMemory(byteCount: GuestMemory.holeBase + (1 << 30))
    #expect(memory.ranges.count == 2)
    #expect(memory.ranges[1] == GuestMemoryRange(base: 1 << 32, byteCount: 1 << 30))
    #expect(memory.isRAM(page: 0))
    #expect(memory.isRAM(page: GuestMemory.holeBase >> 12 - 1))
    #expect(!memory.isRAM(page: GuestMemory.holeBase >> 12))
    #expect(!memory.isRAM(page: GuestMemory.holeEnd >> 12 - 1))
    #expect(memory.isRAM(page: GuestMemory.holeEnd >> 12))
    #expect(!memory.isRAM(page: ((1 << 32) + (1 << 30)) >> 12))
    try memory.write(1 << 32, [1, 2, 3])
    #expect(try memory.read(1 << 32, count: 4) == [1, 2, 3, 0])
    #expect(unsafe UInt(bitPattern: memory.hostBase) % UInt(GuestMemory.hugePage) == 0)
  }

  static let outside: [(UInt64, Int)] = [
    (.max, 1), (.max - 4095, 4096), (1 << 63, 1), (0xF800_0000, 1), (1 << 32, 1), (0x7FF_FFFF, 2), (0x800_0000, 1),
    (0, .max), (0, -1), (1, 0x800_0000), (0x8_0000_0000_0000, 8),
  ]

  @Test(arguments: outside) func accessesOutsideAreErrors(address: UInt64, count: Int) throws {
    let memory = try GuestMemory(byteCount: 128 << 20)
    #expect(unsafe memory.pointer(to: address, count: count) == nil)
    #expect(throws: GuestMemoryError.self) { try memory.read(address, count: count) }
    #expect(unsafe memory.page(address) == nil || address < (128 << 20) >> 12)
  }

  @Test func discardedMemoryReadsAsZeros() throws {
    let memory = try GuestMemory(byteCount: 128 << 20)
    try memory.write(4096, [7])
    memory.discardAll()
    #expect(try memory.read(4096, count: 1) == [0])
  }

  @Test func crashTextIsBoundedAndNotTrusted() throws {
    let memory = try GuestMemory(byteCount: 128 << 20)
    try memory.write(0x5000, Array("panic\n".utf8) + [0xFF, 0xFE, 0x41])
    func text(_ parameters: [UInt64], hasText: Bool?) -> String? {
      CrashReport(parameters: parameters, hasText: hasText, memory: memory).text
    }
    #expect(text([0, 0, 0, 0x5000, 6], hasText: true) == "panic\n")
    #expect(text([0, 0, 0, 0x5000, 9], hasText: nil) == "panic\n\u{FFFD}\u{FFFD}A")
    #expect(text([0, 0, 0, 0x5000, .max], hasText: true)?.utf8.count == 13)
    #expect(text([1, 2, 3, 0x5000, 6], hasText: nil) == nil)
    #expect(text([1, 2, 3, 0x5000, 6], hasText: false) == nil)
    #expect(text([0, 0, 0, .max, 6], hasText: true) == nil)
    #expect(text([0, 0, 0, 0x5000, 0], hasText: true) == nil)
    #expect(text([], hasText: true) == nil)
  }
}
