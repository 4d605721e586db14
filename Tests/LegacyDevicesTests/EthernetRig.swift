// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import LegacyDevices

/// A megabyte of RAM from 0 on.
final class RigMemory: DeviceMemory {
  static let byteCount = 1 << 20
  var bytes = [UInt8](repeating: 0, count: byteCount)
  /// Addresses of words in the order in which they were stored.
  var stored: [UInt32] = []

  private func isRAM(_ address: UInt32, _ count: Int) -> Bool { Int(address) + count <= bytes.count }

  func load(_ address: UInt32) -> UInt32? {
    guard address & 3 == 0, isRAM(address, 4) else { return nil }
    return (0..<4).reduce(0) { $0 | UInt32(bytes[Int(address) + $1]) << UInt32($1 * 8) }
  }

  func store(_ value: UInt32, at address: UInt32) -> Bool {
    guard address & 3 == 0, isRAM(address, 4) else { return false }
    for index in 0..<4 { bytes[Int(address) + index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8)) }
    stored.append(address)
    return true
  }

  func read(_ address: UInt32, into target: UnsafeMutableRawBufferPointer) -> Bool {
    guard isRAM(address, target.count) else { return false }
    for index in 0..<target.count { unsafe target[index] = bytes[Int(address) + index] }
    return true
  }

  func write(_ address: UInt32, from source: UnsafeRawBufferPointer) -> Bool {
    guard isRAM(address, source.count) else { return false }
    for index in 0..<source.count { bytes[Int(address) + index] = unsafe source[index] }
    return true
  }
}

/// A controller, its guest's memory, and a driver's hands on both.
struct EthernetRig {
  static let address = EthernetAddress(rawValue: 0x0015_5d01_0203)
  static let sendRing: UInt32 = 0x1000
  static let receiveRing: UInt32 = 0x2000
  static let buffers: UInt32 = 0x1_0000

  var controller = EthernetController(address: address)
  let memory = RigMemory()

  /// As stock Linux has it after `ifconfig up`: rings, both processes, everything enabled that it enables.
  init(started: Bool = true) {
    controller.mayMasterBus = true
    guard started else { return }
    csr(0, 1)
    csr(0, 0x01A0_8000)
    csr(3, Self.receiveRing)
    csr(4, Self.sendRing)
    csr(7, 0x0001_EBEF)
    csr(6, 0x0206_2002)
  }

  mutating func csr(_ number: Int, _ value: UInt32) { controller.write(number * 8, size: 4, value) }
  mutating func csr(_ number: Int) -> UInt32 { controller.read(number * 8, size: 4) }

  func descriptor(_ at: UInt32, _ status: UInt32, _ control: UInt32, _ first: UInt32, _ second: UInt32 = 0) {
    for (index, word) in [status, control, first, second].enumerated() {
      _ = memory.store(word, at: at + UInt32(index * 4))
    }
    memory.stored = []
  }

  func put(_ bytes: [UInt8], at address: UInt32) {
    memory.bytes.replaceSubrange(Int(address)..<Int(address) + bytes.count, with: bytes)
  }

  func bytes(_ address: UInt32, _ count: Int) -> [UInt8] { Array(memory.bytes[Int(address)..<Int(address) + count]) }

  mutating func demand() { csr(1, 0) }

  /// All frames that are there to be sent. Gives up after as many calls.
  mutating func send(calls: Int = 100) -> [[UInt8]] {
    var frames: [[UInt8]] = []
    for _ in 0..<calls {
      switch controller.transmit(memory: memory) {
      case .frame: frames.append(Array(controller.sentFrame))
      case .unfinished: continue
      case .idle: return frames
      }
    }
    return frames
  }

  mutating func receive(_ frame: [UInt8]) -> EthernetReception { controller.receive(frame, memory: memory) }

  /// A setup frame with these addresses, the rest as broadcast, as Linux fills them.
  mutating func setFilter(_ addresses: [EthernetAddress], flags: UInt32 = 0) {
    let all = addresses + Array(repeating: EthernetAddress(rawValue: .max), count: 16 - addresses.count)
    var frame: [UInt8] = []
    for address in all {
      for shift in [UInt64(40), 24, 8] {
        let pair = [
          UInt8(truncatingIfNeeded: address.rawValue >> shift),
          UInt8(truncatingIfNeeded: address.rawValue >> (shift - 8)),
        ]
        frame += pair + pair
      }
    }
    setFilter(frame, flags: flags)
  }

  mutating func setFilter(_ setup: [UInt8], flags: UInt32 = 0) {
    put(setup, at: 0x8000)
    csr(4, Self.sendRing)
    descriptor(Self.sendRing, 0x8000_0000, 0x0800_0000 | flags | UInt32(setup.count), 0x8000)
    descriptor(Self.sendRing + 16, 0, 0, 0)
    demand()
    _ = send()
  }

  static func frame(
    to target: EthernetAddress = address, count: Int = 60, type: UInt16 = 0x0800, fill: UInt8 = 0x5A
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    for one in [target.rawValue, 0x0200_0000_0001] {
      for shift in stride(from: UInt64(40), through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: one >> shift))
      }
    }
    bytes += [UInt8(type >> 8), UInt8(type & 0xFF)]
    return bytes + (0..<max(0, count - 14)).map { UInt8(truncatingIfNeeded: $0) ^ fill }
  }

  // MARK: The serial ROM, bit by bit as Linux does it

  /// All bits that came, the last one lowest.
  mutating func readROM(_ location: Int, addressBits: Int) -> UInt32 {
    let enabled: UInt32 = 0x4801
    var result: UInt32 = 0
    let command = location | 6 << addressBits
    csr(9, enabled & ~1)
    csr(9, enabled)
    for bit in stride(from: 4 + addressBits, through: 0, by: -1) {
      let data: UInt32 = command >> bit & 1 != 0 ? 4 : 0
      csr(9, enabled | data)
      csr(9, enabled | data | 2)
      result = result << 1 | csr(9) >> 3 & 1
    }
    csr(9, enabled)
    for _ in 0..<16 {
      csr(9, enabled | 2)
      result = result << 1 | csr(9) >> 3 & 1
      csr(9, enabled)
    }
    csr(9, enabled & ~1)
    return result
  }
}
