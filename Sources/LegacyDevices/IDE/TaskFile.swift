// SPDX-License-Identifier: Apache-2.0

/// The command block's parameters. Each of the first five remembers two bytes: the last one written in bits 0–7 and the one
/// before in bits 8–15, which is how a 48-bit address comes through 8-bit ports.
struct TaskFile: Equatable, Sendable {
  var features: UInt16 = 0
  var count: UInt16 = 0
  var low: UInt16 = 0
  var middle: UInt16 = 0
  var high: UInt16 = 0
  var device: UInt8 = 0

  /// What a drive says after a reset (ATA/ATAPI signature).
  static func signature(isPacketDevice: Bool, unit: Int) -> TaskFile {
    var file = TaskFile()
    file.count = 1
    file.low = 1
    file.middle = isPacketDevice ? 0x14 : 0
    file.high = isPacketDevice ? 0xEB : 0
    file.device = UInt8(unit) << 4
    return file
  }

  mutating func write(_ offset: Int, _ value: UInt8) {
    func pushed(_ register: UInt16) -> UInt16 { register << 8 | UInt16(value) }
    switch offset {
    case 1: features = pushed(features)
    case 2: count = pushed(count)
    case 3: low = pushed(low)
    case 4: middle = pushed(middle)
    case 5: high = pushed(high)
    case 6: device = value
    default: break
    }
  }

  /// `previous`: the older byte (the HOB bit of the device control register).
  func read(_ offset: Int, previous: Bool) -> UInt8 {
    let register: UInt16
    switch offset {
    case 2: register = count
    case 3: register = low
    case 4: register = middle
    case 5: register = high
    default: return device
    }
    return UInt8(truncatingIfNeeded: previous ? register >> 8 : register)
  }

  var usesLBA: Bool { device & 0x40 != 0 }

  var sector28: UInt64 {
    UInt64(low & 0xFF) | UInt64(middle & 0xFF) << 8 | UInt64(high & 0xFF) << 16 | UInt64(device & 0xF) << 24
  }

  var sector48: UInt64 {
    func bits(_ register: UInt16, _ shift: UInt64) -> UInt64 {
      UInt64(register & 0xFF) << shift | UInt64(register >> 8) << (shift + 24)
    }
    return bits(low, 0) | bits(middle, 8) | bits(high, 16)
  }

  /// 1…256.
  var count28: UInt32 { count & 0xFF == 0 ? 256 : UInt32(count & 0xFF) }
  /// 1…65536.
  var count48: UInt32 { count == 0 ? 65536 : UInt32(count) }

  mutating func setSector28(_ sector: UInt64) {
    low = UInt16(sector & 0xFF)
    middle = UInt16(sector >> 8 & 0xFF)
    high = UInt16(sector >> 16 & 0xFF)
    device = device & 0xF0 | UInt8(sector >> 24 & 0xF)
  }

  mutating func setSector48(_ sector: UInt64) {
    low = UInt16(sector & 0xFF) | UInt16(sector >> 24 & 0xFF) << 8
    middle = UInt16(sector >> 8 & 0xFF) | UInt16(sector >> 32 & 0xFF) << 8
    high = UInt16(sector >> 16 & 0xFF) | UInt16(sector >> 40 & 0xFF) << 8
  }
}
