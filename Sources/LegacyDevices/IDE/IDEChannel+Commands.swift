// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

extension IDEChannel {
  /// A command for the selected drive, which can take it.
  mutating func begin(_ command: ATACommand, _ effects: inout [IDEEffect]) {
    if command == .executeDeviceDiagnostic {
      guard hasDrives else { return }
      for unit in units.indices where units[unit].isPresent { units[unit].showSignature(unit: unit) }
      selected = 0
      units[0].interruptPending = units[0].isPresent
      return
    }
    let unit = selected
    units[unit].interruptPending = false
    let plan: ATAPlan
    switch units[unit].drive {
    case .none: return
    case .disk(var disk):
      plan = disk.plan(command, &units[unit].file)
      units[unit].drive = .disk(disk)
    case .packet(var device):
      plan = device.plan(command, &units[unit].file)
      units[unit].drive = .packet(device)
    }
    units[unit].error = 0
    carryOut(plan, unit, &effects)
  }

  private mutating func carryOut(_ plan: ATAPlan, _ unit: Int, _ effects: inout [IDEEffect]) {
    switch plan {
    case .done: units[unit].end()
    case .fail(let code): units[unit].end(status: ATAStatus.error, error: code)
    case .reply(let bytes):
      units[unit].job = .reply
      units[unit].offer(bytes)
    case .transfer(let transfer): step(transfer, unit, isFirst: true, &effects)
    case .drive(let request):
      units[unit].job = .single
      start(.drive(request), unit, &effects)
    case .trim(let bytes):
      units[unit].job = .trimList(bytes: bytes)
      awaitBusMaster(unit)
    case .packet:
      units[unit].job = .packetCommand
      units[unit].file.count = PacketTransfer.Reason.command
      units[unit].expect(ATAPIDevice.packetBytes, interrupts: false)
    case .reset: reset(unit)
    }
  }

  /// The next block of a transfer, or all of it by DMA.
  mutating func step(_ transfer: SectorTransfer, _ unit: Int, isFirst: Bool, _ effects: inout [IDEEffect]) {
    units[unit].job = .transfer(transfer)
    if transfer.isDMA {
      awaitBusMaster(unit)
    } else if transfer.isWrite {
      units[unit].expect(transfer.stepBytes, interrupts: !isFirst)
    } else {
      start(.read(transfer.request), unit, &effects)
    }
  }

  mutating func start(_ work: IDERequest.Work, _ unit: Int, _ effects: inout [IDEEffect]) {
    let number = takeRequestNumber()
    units[unit].phase = .busy(number)
    units[unit].setStatus(ATAStatus.busy)
    effects.append(.start(IDERequest(number: number, position: position(unit), work: work)))
  }

  // MARK: bus master

  mutating func awaitBusMaster(_ unit: Int) {
    units[unit].phase = .awaitingBusMaster
    units[unit].setStatus(ATAStatus.busy)
  }

  /// Lets a transfer go whose drive and bus master are ready. `enabled`: PCI lets the controller access memory.
  mutating func startBusMaster(enabled: Bool, _ effects: inout [IDEEffect]) {
    guard master.isStarted, let unit = units.firstIndex(where: { $0.phase == .awaitingBusMaster }) else { return }
    let work: IDERequest.Work
    let toMemory: Bool
    switch units[unit].job {
    case .transfer(let transfer):
      work = .direct(transfer.request, table: master.table)
      toMemory = !transfer.isWrite
    case .trimList(let bytes):
      work = .fromGuest(bytes, table: master.table)
      toMemory = false
    case .packet(let transfer):
      work = transfer.busMasterWork(table: master.table)
      toMemory = true
    default: return
    }
    guard enabled, master.isToMemory == toMemory else { return abandon(unit, .outsideMemory) }
    start(work, unit, &effects)
  }

  /// The bus master cannot go on. No interrupt comes: the guest's driver runs into its time limit and finds the reason in
  /// the bus master's status.
  mutating func abandon(_ unit: Int, _ fault: DescriptorTable.Fault) {
    master.fail(fault)
    units[unit].end(status: ATAStatus.error, error: ATAError.aborted, interrupts: false)
  }
}
