// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@Suite struct SynICTests {
  /// Linux `struct hv_input_post_message`: connection, reserved, type, payload size, payload.
  @Test func postMessageInputIsAsTheSpecificationSays() throws {
    let payload = MessageBuffer(Unload())
    var block = [UInt8](repeating: 0, count: PostMessageInput.wireSize)
    var span = block.mutableSpan
    var target = unsafe span.mutableBytes
    try PostMessageInput(connection: ConnectionID(0x0102_0304), payload: payload).encode(into: &target)
    #expect(hex(Array(block[..<24])) == "040302010000000001000000080000001000000000000000")
    let input = try decode(block)
    #expect(input.connection == ConnectionID(0x0102_0304) && input.messageType == 1 && input.payload.byteCount == 8)
  }

  /// hostile-inputs: post-message payload size 241.
  @Test(arguments: [241, 256, UInt32.max]) func postMessageInputRefusesLongPayloads(_ size: UInt32) throws {
    var block = [UInt8](repeating: 0, count: PostMessageInput.wireSize)
    for byte in 0..<4 { block[12 + byte] = UInt8(truncatingIfNeeded: size >> UInt32(byte * 8)) }
    #expect(throws: WireError.invalid(offset: 12)) { try decode(block) }
  }

  @Test func postMessageInputRefusesCutBlocks() throws {
    var block = [UInt8](repeating: 0, count: PostMessageInput.wireSize)
    block[12] = 240
    for length in 0..<block.count {
      #expect(throws: WireError.self) { try decode(Array(block[..<length])) }
    }
    #expect(try decode(block).payload.byteCount == 240)
  }

  /// Facts: bits 0–23 connection, bits 32–47 flag.
  @Test func signalEventInputIsOneRegister() {
    let input = SignalEventInput(rawValue: 0xFFFF_0007_0000_2005)
    #expect(input == SignalEventInput(connection: ConnectionID(0x2005), flag: 7))
    #expect(SignalEventInput(connection: ConnectionID(0x2005)).rawValue == 0x2005)
  }

  @Test func aMessageGoesThroughTheSlot() throws {
    let page = Page()
    let slot = page.slot
    #expect(slot.type == 0)
    #expect(deliver([1, 2, 3], to: slot))
    // Slot 2 begins at 512: type 1, size 3, flags 0, payload at 16.
    #expect(page.bytes(512, 8) == [1, 0, 0, 0, 3, 0, 0, 0])
    #expect(page.bytes(528, 3) == [1, 2, 3])
    #expect(slot.type == 1)
    let copy = try slot.copyPayload()
    #expect(array(copy) == [1, 2, 3])
    #expect(!slot.release())
    #expect(slot.type == 0)
  }

  /// A second message must not overwrite the first: it asks for the end-of-message write instead.
  @Test func aBusySlotRefusesAndAsksForEndOfMessage() throws {
    let page = Page()
    let slot = page.slot
    #expect(deliver([1], to: slot))
    #expect(!deliver([2], to: slot))
    #expect(page.bytes(528, 1) == [1])
    #expect(page.bytes(516, 2) == [1, 1])
    #expect(slot.release())
    #expect(deliver([2], to: slot))
    #expect(page.bytes(516, 2) == [1, 0])
    #expect(!slot.release())
  }

  /// hostile-inputs (host against guest): payload 255.
  @Test func aSlotWithAnImpossibleSizeIsRefused() {
    let page = Page()
    page.set(516, 255)
    page.set(512, 1)
    #expect(throws: WireError.invalid(offset: 4)) { try page.slot.copyPayload() }
  }

  @Test func aSlotTakesNoMoreThan240Bytes() {
    let page = Page()
    #expect(!deliver([UInt8](repeating: 0, count: 241), to: page.slot))
    #expect(deliver([UInt8](repeating: 7, count: 240), to: page.slot))
    #expect(page.bytes(767, 2) == [7, 0])
  }

  @Test func flagsAreBitsOfTheSecondSlot() {
    let page = Page()
    let flags = page.flags
    #expect(flags.set(9))
    #expect(!flags.set(9))
    #expect(flags.set(2047))
    #expect(page.bytes(513, 1) == [2])
    #expect(page.bytes(767, 2) == [0x80, 0])
    #expect(flags.take(word: 0) == 1 << 9)
    #expect(flags.take(word: 0) == 0)
    #expect(flags.take(word: 31) == 1 << 63)
    #expect(flags.set(9))
  }

  /// Out of range: nothing is written, nothing traps.
  @Test func flagsPastThePageAreIgnored() {
    let page = Page()
    #expect(!page.flags.set(2048))
    #expect(!page.flags.set(.max))
    #expect(page.bytes(0, 4096).allSatisfy { $0 == 0 })
  }
}

private func decode(_ block: [UInt8]) throws(WireError) -> PostMessageInput {
  try unsafe PostMessageInput(decoding: block.span.bytes)
}

private func deliver(_ payload: [UInt8], to slot: MessageSlot) -> Bool {
  unsafe slot.deliver(payload: payload.span.bytes)
}

/// 4096 zeroed bytes, page-aligned.
@safe private final class Page {
  private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)

  init() { unsafe memory.initializeMemory(as: UInt8.self, repeating: 0) }
  deinit { unsafe memory.deallocate() }

  private var base: UnsafeMutableRawPointer {
    guard let base = unsafe memory.baseAddress else { preconditionFailure("4096 bytes have an address") }
    return unsafe base
  }
  var slot: MessageSlot { unsafe MessageSlot(page: base) }
  var flags: EventFlags { unsafe EventFlags(page: base) }
  func bytes(_ offset: Int, _ count: Int) -> [UInt8] { (offset..<offset + count).map { unsafe memory[$0] } }
  func set(_ offset: Int, _ byte: UInt8) { unsafe memory[offset] = byte }
}
