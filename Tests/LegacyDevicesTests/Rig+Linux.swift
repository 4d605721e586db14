// SPDX-License-Identifier: Apache-2.0

import LegacyDevices

/// The accesses that Linux 6.1's ata_piix makes, in its order (libata-sff.c), on one channel.
extension Rig {
  static let commands: [UInt16] = [0x1F0, 0x170]
  static let controls: [UInt16] = [0x3F6, 0x376]

  func busMaster(_ channel: Int) -> UInt16 { (board.busMasterPorts ?? 0) + UInt16(channel) * 8 }

  /// ata_wait_idle, sff_dev_select with its pause, ata_wait_idle.
  mutating func select(_ unit: Int, channel: Int = 0) {
    _ = in8(Self.commands[channel] + 7)
    out(Self.commands[channel] + 6, 0xA0 | UInt8(unit) << 4)
    _ = in8(Self.controls[channel])
    _ = in8(Self.commands[channel] + 7)
  }

  /// ata_sff_tf_load.
  mutating func load(
    sector: UInt64 = 0, count: UInt32 = 0, features: UInt8 = 0, extended: Bool = false, unit: Int = 0, channel: Int = 0
  ) {
    let base = Self.commands[channel]
    if extended {
      out(base + 1, 0)
      out(base + 2, UInt8(truncatingIfNeeded: count >> 8))
      for index in 0..<3 { out(base + 3 + UInt16(index), UInt8(truncatingIfNeeded: sector >> UInt64(24 + index * 8))) }
    }
    out(base + 1, features)
    out(base + 2, UInt8(truncatingIfNeeded: count))
    for index in 0..<3 { out(base + 3 + UInt16(index), UInt8(truncatingIfNeeded: sector >> UInt64(index * 8))) }
    let top = extended ? 0 : UInt8(truncatingIfNeeded: sector >> 24 & 0xF)
    out(base + 6, 0xE0 | UInt8(unit) << 4 | top)
    _ = in8(base + 7)
  }

  /// sff_exec_command with its pause.
  mutating func command(_ code: UInt8, channel: Int = 0) {
    out(Self.commands[channel] + 7, code)
    _ = in8(Self.controls[channel])
  }

  /// One DMA command from the choice of the drive to the end of its interrupt handler; returns the bus master's status and
  /// the drive's.
  mutating func dma(
    _ code: UInt8, write: Bool, sector: UInt64, count: UInt32, extended: Bool = false, features: UInt8 = 0,
    unit: Int = 0, channel: Int = 0
  ) -> (master: UInt8, status: UInt8) {
    select(unit, channel: channel)
    load(sector: sector, count: count, features: features, extended: extended, unit: unit, channel: channel)
    let master = busMaster(channel)
    // bmdma_setup
    out32(master + 4, Self.table)
    let before = in8(master)
    out(master, before & ~9 | (write ? 0 : 8))
    command(code, channel: channel)
    // bmdma_start
    out(master, in8(master) | 1)
    if !isImmediate { run() }
    return interruptHandler(channel)
  }

  /// ata_bmdma_port_intr and what it calls.
  mutating func interruptHandler(_ channel: Int) -> (master: UInt8, status: UInt8) {
    let master = busMaster(channel)
    let seen = in8(master + 2)
    guard seen & 4 != 0 else { return (seen, in8(Self.controls[channel])) }
    out(master, in8(master) & ~1)
    _ = in8(Self.controls[channel])
    _ = in8(Self.controls[channel])
    let status = in8(Self.commands[channel] + 7)
    out(master + 2, in8(master + 2))
    return (seen, status)
  }

  mutating func softReset(_ channel: Int = 0) {
    out(Self.controls[channel], 0x08)
    out(Self.controls[channel], 0x0C)
    out(Self.controls[channel], 0x08)
  }

  /// IDENTIFY by PIO: 256 words.
  mutating func identify(_ code: UInt8 = 0xEC, unit: Int = 0, channel: Int = 0) -> [UInt16] {
    select(unit, channel: channel)
    command(code, channel: channel)
    guard in8(Self.commands[channel] + 7) & 0x88 == 0x08 else { return [] }
    let bytes = input(Self.commands[channel], size: 2, count: 256)
    return (0..<256).map { UInt16(bytes[$0 * 2]) | UInt16(bytes[$0 * 2 + 1]) << 8 }
  }

  /// A packet command with its data by PIO; returns status, error and data.
  mutating func packet(
    _ bytes: [UInt8], limit: UInt16 = 0xFFFE, channel: Int = 1
  ) -> (status: UInt8, error: UInt8, data: [UInt8]) {
    let base = Self.commands[channel]
    select(0, channel: channel)
    out(base + 1, 0)
    out(base + 4, UInt8(limit & 0xFF))
    out(base + 5, UInt8(limit >> 8))
    command(0xA0, channel: channel)
    guard in8(base + 7) & 0x88 == 0x08 else { return (in8(base + 7), in8(base + 1), []) }
    output(base, bytes + [UInt8](repeating: 0, count: 12 - bytes.count), size: 2)
    var data: [UInt8] = []
    while true {
      let status = in8(base + 7)
      guard status & 0x88 == 0x08 else { return (status, in8(base + 1), data) }
      let count = Int(in8(base + 4)) | Int(in8(base + 5)) << 8
      data += input(base, size: 2, count: (count + 1) / 2).prefix(count)
    }
  }
}
