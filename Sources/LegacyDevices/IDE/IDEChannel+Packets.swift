// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

extension IDEChannel {
  /// All 12 bytes of a packet are there.
  mutating func beginPacket(_ packet: [UInt8], _ unit: Int, _ effects: inout [IDEEffect]) {
    guard case .packet(var device) = units[unit].drive else { return }
    let (plan, ejects) = device.begin(packet)
    units[unit].drive = .packet(device)
    if ejects { effects.append(.ejected(position(unit))) }
    carryOut(plan, unit, &effects)
  }

  private mutating func carryOut(_ plan: PacketPlan, _ unit: Int, _ effects: inout [IDEEffect]) {
    switch plan {
    case .done: endPacket(unit)
    case .failed(let key): failPacket(unit, key)
    case .reply(let bytes) where bytes.isEmpty: endPacket(unit)
    case .reply(let bytes):
      packetStep(PacketTransfer(file: units[unit].file, bytes: bytes), unit, &effects)
    case .read(let request) where request.byteCount == 0: endPacket(unit)
    case .read(let request):
      packetStep(PacketTransfer(file: units[unit].file, medium: request), unit, &effects)
    case .drive(let request):
      units[unit].job = .packet(PacketTransfer(file: units[unit].file))
      start(.drive(request), unit, &effects)
    }
  }

  /// Goes on with a transfer to the guest: by DMA all at once, by PIO the next piece.
  mutating func packetStep(_ transfer: PacketTransfer, _ unit: Int, _ effects: inout [IDEEffect]) {
    guard !transfer.isEmpty else { return endPacket(unit) }
    var transfer = transfer
    if transfer.isDMA {
      units[unit].job = .packet(transfer)
      return awaitBusMaster(unit)
    }
    if let piece = transfer.takePiece() {
      units[unit].job = .packet(transfer)
      units[unit].file.count = PacketTransfer.Reason.toHost
      units[unit].file.middle = UInt16(piece.count & 0xFF)
      units[unit].file.high = UInt16(piece.count >> 8)
      units[unit].offer(piece)
    } else if let request = transfer.takeRead() {
      units[unit].job = .packet(transfer)
      start(.read(request), unit, &effects)
    }
  }

  mutating func packetWorkEnded(
    _ transfer: PacketTransfer, _ bytes: [UInt8], tableHasMore: Bool, _ unit: Int, _ effects: inout [IDEEffect]
  ) {
    if transfer.isDMA, !transfer.isEmpty {
      master.finish(tableHasMore: tableHasMore)
      return endPacket(unit)
    }
    var transfer = transfer
    guard transfer.add(bytes) else { return packetFailed(transfer, .broken, unit) }
    packetStep(transfer, unit, &effects)
  }

  mutating func packetFailed(_ transfer: PacketTransfer, _ failure: DriveFailure, _ unit: Int) {
    guard case .packet(var device) = units[unit].drive else { return }
    let key = device.failed(failure)
    units[unit].drive = .packet(device)
    if transfer.isDMA { master.finish(tableHasMore: true) }
    failPacket(unit, key)
  }

  private mutating func endPacket(_ unit: Int) {
    units[unit].file.count = PacketTransfer.Reason.status
    units[unit].end()
  }

  private mutating func failPacket(_ unit: Int, _ senseKey: UInt8) {
    units[unit].file.count = PacketTransfer.Reason.status
    units[unit].end(status: ATAStatus.error, error: senseKey << 4 | ATAError.aborted)
  }
}
