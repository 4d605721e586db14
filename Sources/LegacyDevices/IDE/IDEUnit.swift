// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

/// One plug of a cable: a drive with its registers, or nothing.
struct IDEUnit: Sendable {
  enum Drive: Sendable {
    case none
    case disk(ATADisk)
    case packet(ATAPIDevice)
  }

  enum Phase: Equatable, Sendable {
    case idle
    /// The guest reads `buffer` from `position` on.
    case dataIn
    /// The guest fills `buffer` up to `expected` bytes.
    case dataOut
    /// Everything but the bus master is ready.
    case awaitingBusMaster
    /// A request is under way.
    case busy(UInt64)
  }

  /// What the command under way needs to go on after a phase.
  enum Job: Sendable {
    case none
    /// A reply that is in the buffer as a whole.
    case reply
    case transfer(SectorTransfer)
    /// One request without data.
    case single
    case trimList(bytes: Int)
    /// Requests that are still to be made.
    case trim([DriveRequest])
    case packetCommand
    case packet(PacketTransfer)
  }

  var drive: Drive
  var file: TaskFile
  var status: UInt8 = 0
  var error: UInt8 = 0
  var interruptPending = false
  var phase = Phase.idle
  var job = Job.none
  var buffer: [UInt8] = []
  var position = 0
  var expected = 0
  /// A reset waits for the request under way: what it has begun may not meet what the guest does afterwards.
  var resetPending = false

  init(_ drive: Drive, unit: Int) {
    self.drive = drive
    file = TaskFile.signature(isPacketDevice: false, unit: unit)
    showSignature(unit: unit)
  }

  var isPresent: Bool { if case .none = drive { false } else { true } }
  var isPacketDevice: Bool { if case .packet = drive { true } else { false } }
  var isBusy: Bool { status & ATAStatus.busy != 0 }

  /// Registers after a reset.
  mutating func showSignature(unit: Int) {
    phase = .idle
    job = .none
    buffer = []
    interruptPending = false
    resetPending = false
    file = .signature(isPacketDevice: isPacketDevice, unit: unit)
    error = 1  // the diagnosis: no fault
    // A packet device is not ready before its first command, which is how old drivers pass it by.
    status = isPacketDevice ? 0 : ATAStatus.ready | ATAStatus.seekComplete
  }

  mutating func setStatus(_ bits: UInt8 = 0) { status = ATAStatus.ready | ATAStatus.seekComplete | bits }

  /// The command is over.
  mutating func end(status bits: UInt8 = 0, error code: UInt8 = 0, interrupts: Bool = true) {
    phase = .idle
    job = .none
    buffer = []
    error = code
    setStatus(bits)
    if interrupts { interruptPending = true }
  }

  /// Makes `bytes` ready for the guest to read.
  mutating func offer(_ bytes: [UInt8]) {
    buffer = bytes
    position = 0
    phase = .dataIn
    setStatus(ATAStatus.dataRequest)
    interruptPending = true
  }

  /// Waits for bytes of the guest.
  mutating func expect(_ count: Int, interrupts: Bool) {
    buffer = []
    buffer.reserveCapacity(count)
    expected = count
    phase = .dataOut
    setStatus(ATAStatus.dataRequest)
    if interrupts { interruptPending = true }
  }
}
