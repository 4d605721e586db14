// SPDX-License-Identifier: Apache-2.0

/// One channel's bus master: command @0, status @2, table address @4 (PIIX4 data sheet, 4.3.x).
struct BusMaster: Equatable, Sendable {
  private static let start: UInt8 = 0x01
  /// Set: the transfer writes guest memory.
  private static let toMemory: UInt8 = 0x08
  private static let active: UInt8 = 0x01
  private static let error: UInt8 = 0x02
  private static let interrupt: UInt8 = 0x04
  /// "Drive 0/1 can do DMA": for whoever wants to remember it.
  private static let scratch: UInt8 = 0x60

  private var command: UInt8 = 0
  private var status: UInt8 = 0
  private(set) var table: UInt32 = 0

  var isStarted: Bool { command & Self.start != 0 }
  var isToMemory: Bool { command & Self.toMemory != 0 }

  func read(_ offset: Int) -> UInt8 {
    switch offset {
    case 0: command
    case 2: status
    case 4...7: UInt8(truncatingIfNeeded: table >> UInt32((offset - 4) * 8))
    default: 0
    }
  }

  mutating func write(_ offset: Int, _ value: UInt8) {
    switch offset {
    case 0:
      let wasStarted = isStarted
      command = value & (Self.start | Self.toMemory)
      if isStarted != wasStarted { status = isStarted ? status | Self.active : status & ~Self.active }
    case 2: status = status & ~Self.scratch & ~(value & (Self.interrupt | Self.error)) | value & Self.scratch
    case 4...7:
      let shift = UInt32((offset - 4) * 8)
      table = (table & ~(0xFF << shift) | UInt32(value) << shift) & ~3
    default: break
    }
  }

  /// A drive's interrupt has come in.
  mutating func noteInterrupt() { status |= Self.interrupt }

  /// A transfer is over. Active stays set while the table has more, as the engine waits for more data then.
  mutating func finish(tableHasMore: Bool) { if !tableHasMore { status &= ~Self.active } }

  mutating func fail(_ fault: DescriptorTable.Fault) {
    status &= ~Self.active
    if fault == .outsideMemory { status |= Self.error }
  }
}
