// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// What the adapter's serial ROM holds: its address and its plugs, as Digital's "Serial ROM format" 3 has it. The plugs are
/// those of Hyper-V's emulated adapter: 10 and 100 Mb/s over twisted pair, without MII.
enum SerialROM {
  static let wordCount = 64

  /// Pins of the general purpose port that say whether there is a link: 100 Mb/s when set, 10 Mb/s when clear.
  static let fastLinkPin: UInt8 = 6
  static let slowLinkPin: UInt8 = 7
  /// Pins that a driver sets.
  private static let outputPins: UInt8 = 0x1F
  private static let leaf = 30

  static func words(_ address: EthernetAddress) -> [UInt16] {
    var bytes = [UInt8](repeating: 0, count: wordCount * 2)
    // Bytes 0–17 are of no meaning to drivers: subsystem, CardBus, reserved.
    bytes[18] = 3  // format
    bytes[19] = 1  // controllers
    for index in 0..<6 { bytes[20 + index] = UInt8(truncatingIfNeeded: address.rawValue >> UInt64(40 - index * 8)) }
    bytes[26] = 0  // the controller's device number
    bytes[27] = UInt8(leaf)
    // Plug chosen by the driver's own sensing; then the pins' directions and the count of plugs.
    bytes[leaf + 1] = 0x08
    bytes[leaf + 2] = outputPins
    bytes[leaf + 3] = 4
    // Each: its number, pins to set, and 16 bits, of which 0, 4–6 are for CSR6, 1–3 the pin that tells of the link, and 7
    // whether the pin is clear then.
    let slow = UInt8(1 << 4 | slowLinkPin << 1 | 0x80)
    let fast = UInt8(1 << 6 | 1 << 5 | fastLinkPin << 1 | 1)
    for (index, plug) in [(0, slow), (3, fast), (4, slow), (5, fast)].enumerated() {
      let at = leaf + 4 + index * 4
      bytes[at] = UInt8(plug.0)
      bytes[at + 2] = plug.1
    }
    let sum = checksum(bytes[..<126])
    bytes[126] = UInt8(truncatingIfNeeded: sum)
    bytes[127] = UInt8(truncatingIfNeeded: sum >> 8)
    return (0..<wordCount).map { UInt16(bytes[$0 * 2]) | UInt16(bytes[$0 * 2 + 1]) << 8 }
  }

  /// The lower half of the Ethernet checksum.
  private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    ~bytes.reduce(UInt32.max) { register, byte in
      (0..<8).reduce(register ^ UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 != 0 ? 0xEDB8_8320 : 0) }
    }
  }
}

/// The ROM's three wires: a driver clocks a start bit, a command and an address in, and a word out (93C46). Commands that
/// write are not carried out.
struct SerialROMPort: Equatable, Sendable {
  private enum Phase: Equatable {
    case idle
    /// Bits that have come, and their count: two of command, six of address.
    case command(UInt16, Int)
    case output(address: Int, left: Int)
    /// Until it is deselected.
    case ignoring
  }

  private let words: [UInt16]
  private var phase = Phase.idle
  private var isSelected = false
  private var clock = false
  /// Nobody drives the wire: it is high.
  private(set) var output = true

  init(_ words: [UInt16]) { self.words = words }

  mutating func set(select: Bool, clock: Bool, data: Bool) {
    let rises = clock && !self.clock
    self.clock = clock
    guard select else {
      isSelected = false
      output = true
      return
    }
    if !isSelected {
      isSelected = true
      phase = .idle
    }
    guard rises else { return }
    switch phase {
    case .idle: if data { phase = .command(0, 0) }
    case .command(let bits, let count):
      let all = bits << 1 | (data ? 1 : 0)
      guard count == 7 else {
        phase = .command(all, count + 1)
        return
      }
      guard all >> 6 == 2 else {
        phase = .ignoring
        return
      }
      // A zero before the word: by it drivers find out how many bits an address has.
      output = false
      phase = .output(address: Int(all & 63), left: 16)
    case .output(let address, let left):
      output = words[address] >> UInt16(left - 1) & 1 != 0
      phase =
        left > 1 ? .output(address: address, left: left - 1) : .output(address: (address + 1) % words.count, left: 16)
    case .ignoring: break
    }
  }

  mutating func reset() { self = SerialROMPort(words) }
}
