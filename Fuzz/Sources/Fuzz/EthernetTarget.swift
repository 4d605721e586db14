// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import LegacyDevices

/// A guest's accesses to the registers of the emulated network adapter, with descriptors and buffers that the script
/// writes at any moment, and frames from the wire.
enum EthernetTarget {
  /// 64 KiB of RAM from 0 on. Rings, chains and buffers share it, so that they overlap often.
  private final class Memory: DeviceMemory {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)

    private func holds(_ address: UInt32, _ count: Int) -> Bool { Int(address) + count <= bytes.count }

    func load(_ address: UInt32) -> UInt32? {
      precondition(address & 3 == 0, "a word at no multiple of four")
      guard holds(address, 4) else { return nil }
      return (0..<4).reduce(0) { $0 | UInt32(bytes[Int(address) + $1]) << UInt32($1 * 8) }
    }

    func store(_ value: UInt32, at address: UInt32) -> Bool {
      precondition(address & 3 == 0, "a word at no multiple of four")
      guard holds(address, 4) else { return false }
      for index in 0..<4 { bytes[Int(address) + index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8)) }
      return true
    }

    func read(_ address: UInt32, into target: UnsafeMutableRawBufferPointer) -> Bool {
      guard holds(address, target.count) else { return false }
      for index in 0..<target.count { unsafe target[index] = bytes[Int(address) + index] }
      return true
    }

    func write(_ address: UInt32, from source: UnsafeRawBufferPointer) -> Bool {
      guard holds(address, source.count) else { return false }
      for index in 0..<source.count { bytes[Int(address) + index] = unsafe source[index] }
      return true
    }
  }

  private static let sendRing: UInt32 = 0x1000
  private static let receiveRing: UInt32 = 0x2000

  static func run(_ script: inout Script) {
    var controller = EthernetController(address: EthernetAddress(rawValue: 0x0015_5D01_0203))
    let memory = Memory()
    start(&controller)
    while !script.isEmpty {
      switch script.choice(12) {
      case 0: controller.write(Int(script.mostly(UInt8(script.choice(16) * 8))), size: 4, script.word32())
      case 1: _ = controller.read(Int(script.byte()), size: 1 << script.choice(3))
      case 2...4: describe(memory, &script)
      case 5:
        let bytes = script.take(192)
        memory.bytes.replaceSubrange(0x4000..<0x4000 + bytes.count, with: bytes)
      case 6...8:
        controller.write(8, size: 4, 0)
        send(&controller, memory)
      case 9...10:
        let frame = [UInt8](repeating: 0xFF, count: 12) + script.take(2)
        let more = min(EthernetController.largestFrame, Int(script.mostly(UInt16(46))))
        _ = controller.receive(frame + [UInt8](repeating: 7, count: more), memory: memory)
      default:
        switch script.choice(4) {
        case 0: controller.mayMasterBus.toggle()
        case 1: controller.timerEnded()
        case 2: controller.isLinkUp.toggle()
        default: start(&controller)
        }
      }
      _ = controller.interrupt
    }
  }

  private static func start(_ controller: inout EthernetController) {
    controller.mayMasterBus = true
    for (register, value) in [(0, 1), (0, 0), (3, receiveRing), (4, sendRing), (7, 0x1_EBEF), (6, 0x0206_2042)]
      as [(Int, UInt32)]
    {
      controller.write(register * 8, size: 4, value)
    }
  }

  private static func describe(_ memory: Memory, _ script: inout Script) {
    let ring = script.oneIn(2) ? receiveRing : sendRing
    let position = ring + UInt32(script.choice(8)) * 16
    let flags = UInt32(script.byte()) << 24 | UInt32(script.byte() & 0xC0) << 16
    let counts = UInt32(script.word16()) | UInt32(script.byte() & 0x3F) << 16
    let words = [
      script.oneIn(8) ? script.word32() : 0x8000_0000, flags | counts, script.mostly(UInt32(0x4000)),
      script.mostly(position &+ 16),
    ]
    for (index, word) in words.enumerated() { _ = memory.store(word, at: position + UInt32(index * 4)) }
  }

  /// A guest's descriptors end: each was given back when it was used.
  private static func send(_ controller: inout EthernetController, _ memory: Memory) {
    for _ in 0..<4096 {
      switch controller.transmit(memory: memory) {
      case .frame(let isLooped):
        let frame = Array(controller.sentFrame)
        precondition((14...EthernetController.largestFrame).contains(frame.count), "a frame of \(frame.count) bytes")
        if isLooped { _ = controller.receive(frame, memory: memory) }
      case .unfinished: break
      case .idle: return
      }
    }
  }
}
