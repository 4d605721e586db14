// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

/// One cable with its two drives: their registers, the bus master, and the interrupt line.
///
/// Both drives see every write to the command block; the selected one answers reads. Nothing that a guest writes in a wrong
/// state has an effect: registers and commands are ignored while a drive is busy.
struct IDEChannel: Sendable {
  let number: Int
  var units: [IDEUnit]
  var selected = 0
  var control: UInt8 = 0
  var master = BusMaster()
  private(set) var line = false
  private var nextRequest: UInt64

  init(number: Int, _ drives: [IDEUnit.Drive]) {
    self.number = number
    nextRequest = UInt64(number)
    units = drives.enumerated().map { IDEUnit($1, unit: $0) }
  }

  var hasDrives: Bool { units.contains { $0.isPresent } }

  var selectedPosition: IDEPosition { position(selected) }

  func position(_ unit: Int) -> IDEPosition { IDEPosition.allCases[number * 2 + unit] }

  mutating func takeRequestNumber() -> UInt64 {
    nextRequest &+= 2
    return nextRequest
  }

  // MARK: command block, 8 ports

  /// Everything but data.
  mutating func readRegister(_ offset: Int, _ effects: inout [IDEEffect]) -> UInt8 {
    guard hasDrives else { return 0xFF }
    guard units[selected].isPresent else { return 0 }
    switch offset {
    case 1: return units[selected].error
    case 7:
      units[selected].interruptPending = false
      updateLine(&effects)
      return units[selected].status
    default: return units[selected].file.read(offset, previous: control & ATAControl.highOrderByte != 0)
    }
  }

  mutating func writeRegister(_ offset: Int, _ value: UInt8, busMasterEnabled: Bool, _ effects: inout [IDEEffect]) {
    control &= ~ATAControl.highOrderByte
    let isBusy = units.contains { $0.isBusy }
    guard offset == 7 else {
      guard !isBusy else { return }
      for unit in units.indices { units[unit].file.write(offset, value) }
      if offset == 6 {
        selected = value & 0x10 != 0 ? 1 : 0
        updateLine(&effects)
      }
      return
    }
    let command = ATACommand(rawValue: value)
    let isReset = command == .deviceReset && units[selected].isPacketDevice
    guard isReset || !isBusy && units[selected].status & ATAStatus.dataRequest == 0 else { return }
    begin(command, &effects)
    startBusMaster(enabled: busMasterEnabled, &effects)
    updateLine(&effects)
  }

  // MARK: control block, 1 port

  /// The status without taking the interrupt back.
  func readAlternateStatus() -> UInt8 {
    guard hasDrives else { return 0xFF }
    return units[selected].isPresent ? units[selected].status : 0
  }

  mutating func writeControl(_ value: UInt8, _ effects: inout [IDEEffect]) {
    let wasReset = control & ATAControl.softwareReset != 0
    control = value
    let isReset = value & ATAControl.softwareReset != 0
    if isReset, !wasReset {
      selected = 0
      for unit in units.indices where units[unit].isPresent { hold(unit) }
    } else if !isReset, wasReset {
      for unit in units.indices where units[unit].isPresent && !units[unit].resetPending {
        units[unit].showSignature(unit: unit)
      }
    }
    updateLine(&effects)
  }

  /// Into the reset state, which the drive leaves no sooner than its request under way ends.
  private mutating func hold(_ unit: Int) {
    units[unit].interruptPending = false
    units[unit].status = ATAStatus.busy
    if case .busy = units[unit].phase {
      units[unit].resetPending = true
    } else {
      units[unit].phase = .idle
      units[unit].job = .none
    }
  }

  /// Reset of one drive by command.
  mutating func reset(_ unit: Int) {
    hold(unit)
    if !units[unit].resetPending { units[unit].showSignature(unit: unit) }
  }

  /// The request that a reset waited for is over.
  mutating func finishReset(_ unit: Int) {
    units[unit].resetPending = false
    units[unit].phase = .idle
    units[unit].job = .none
    if control & ATAControl.softwareReset == 0 { units[unit].showSignature(unit: unit) }
  }

  // MARK: bus master, 8 ports

  mutating func writeBusMaster(_ offset: Int, _ value: UInt8, enabled: Bool, _ effects: inout [IDEEffect]) {
    master.write(offset, value)
    if offset == 0 { startBusMaster(enabled: enabled, &effects) }
  }

  // MARK: interrupt

  /// The line follows the selected drive. Its rise sets the bus master's interrupt bit.
  mutating func updateLine(_ effects: inout [IDEEffect]) {
    let level =
      units[selected].isPresent && units[selected].interruptPending && control & ATAControl.interruptsOff == 0
    guard level != line else { return }
    line = level
    if level { master.noteInterrupt() }
    effects.append(.interrupt(channel: number, level))
  }

  // MARK: for the owner

  /// Goes on numbering requests where a channel before this one left off.
  mutating func keepNumbers(of other: IDEChannel) { nextRequest = other.nextRequest }

  /// A disk's size changed.
  mutating func update(_ characteristics: DriveCharacteristics, unit: Int) {
    guard case .disk(var disk) = units[unit].drive else { return }
    disk.characteristics = characteristics
    units[unit].drive = .disk(disk)
  }

  /// Does something to a DVD drive; nil if there is none.
  mutating func withDVD<R>(unit: Int, _ body: (inout ATAPIDevice) -> R) -> R? {
    guard case .packet(var device) = units[unit].drive else { return nil }
    defer { units[unit].drive = .packet(device) }
    return body(&device)
  }

  mutating func setDrive(_ drive: IDEUnit.Drive, unit: Int, _ effects: inout [IDEEffect]) {
    units[unit] = IDEUnit(drive, unit: unit)
    updateLine(&effects)
  }
}
