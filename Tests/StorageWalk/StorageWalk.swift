// SPDX-License-Identifier: Apache-2.0

import BusWalk
import DeviceProtocols
import ServiceClients
import ServiceProviders
import VMBus
import VirtualDisks

/// Both ends of the storage protocol on each other through real rings, and a walk through what can happen: commands on
/// several channels, drives that fail and take their time, resets, units that come and go, discs, channels that close and
/// open; from a hostile guest anything at all. Every request must end exactly once, and every sector must hold what was
/// last written to it.
public struct StorageWalk<Source: Decisions> {
  public var decisions: Source
  public let host: StorageHost
  public let guest: StorageGuest
  let memory: GuestPages
  let isHostile: Bool
  private var stamp: UInt32 = 0
  /// Drives of units that were taken away, to come back as they were.
  private var shelf: [UInt8: RAMDrive] = [:]

  static var units: UInt8 { 4 }
  static var sectors: Int { 512 }
  static var dvd: UInt8 { 9 }

  public init(decisions: Source, maximumVersion: StorageVersion = .v6_2, isHostile: Bool) {
    self.decisions = decisions
    self.isHostile = isHostile
    memory = GuestPages(frameCount: 256)
    host = StorageHost(
      StorageConfiguration(
        maximumVersion: maximumVersion, maximumSubChannels: 3, maximumTransferBytes: 1 << 17, slotsPerChannel: 24),
      memory: memory)
    guest = StorageGuest(memory: memory, subChannels: 3)
    for unit in 0..<Self.units {
      let drive = RAMDrive(byteCount: Self.sectors * 512)
      host.drives[unit] = drive
      host.units[unit] = .disk(SCSIDisk(Self.characteristics(unit), maximumTransferBytes: 1 << 17))
      guest.shadow[unit] = Array(repeating: 0, count: Self.sectors)
    }
    host.drives[Self.dvd] = RAMDrive(byteCount: 100 * 2048, sectorSize: 2048)
    host.units[Self.dvd] = SCSIUnit(.dvd(byteCount: 100 * 2048, identifier: GUID(low: 9, high: 9)))
  }

  static func characteristics(_ unit: UInt8) -> DriveCharacteristics {
    DriveCharacteristics(
      byteCount: UInt64(sectors * 512), discardGranularity: 4096, identifier: GUID(low: UInt64(unit), high: 1))
  }

  // MARK: Steps

  /// One step; nil: all is well.
  public mutating func step() -> String? {
    switch decisions.choice(isHostile ? 24 : 20) {
    case 0: rareStep()
    case 1...5: command()
    case 6...9: host.serve(anyChannel(), limit: 1 + decisions.choice(8))
    case 10...13: guest.receive(anyChannel(), limit: 1 + decisions.choice(8))
    case 14...18: work()
    case 19: openChannels()
    default: garbage()
    }
    if case .failed(let fault) = guest.client.state {
      // What a hostile guest sends in between spoils its own handshake.
      guard isHostile else { return "bring-up: \(fault)" }
      host.close(0)
      guest.close(0)
    }
    return guest.problem ?? host.problem()
  }

  private mutating func anyChannel() -> UInt16 { UInt16(decisions.choice(4)) }

  private mutating func work() {
    guard !host.pending.isEmpty else { return }
    let failures: [DriveFailure] = [.readFailed, .writeFailed, .noSpace, .broken, .cancelled]
    let failure = decisions.oneIn(16) ? failures[decisions.choice(failures.count)] : nil
    host.work(decisions.choice(host.pending.count), failure: failure)
  }

  private mutating func openChannels() {
    if host.ports[0] == nil {
      open(0)
    } else if guest.isReady, host.offered > 0 {
      let index = UInt16(1 + decisions.choice(Int(host.offered)))
      if guest.client.accepts(subChannel: index), host.ports[index] == nil { open(index) }
    }
    // Channels that the host withdrew.
    for index in guest.ports.keys where host.ports[index] == nil { guest.close(index) }
  }

  /// Small rings: they fill up, in both directions.
  private func open(_ index: UInt16) {
    let rings = RingPair(byteCount: 4096)
    host.open(index, rings)
    guest.open(index, rings)
  }

  private mutating func rareStep() {
    switch decisions.choice(isHostile ? 12 : 10) {
    case 0:
      guest.reset()
    case 1:
      // The guest's kernel is gone, and another one starts.
      guard decisions.oneIn(4) else { return }
      for index in Array(host.ports.keys) { host.close(index) }
      for index in Array(guest.ports.keys) { guest.close(index) }
    case 2:
      let index = 1 + UInt16(decisions.choice(3))
      host.close(index)
      guest.close(index)
    case 3, 4:
      let unit = UInt8(decisions.choice(Int(Self.units)))
      if host.units[unit] != nil {
        host.remove(unit)
      } else {
        host.add(unit, .disk(SCSIDisk(Self.characteristics(unit), maximumTransferBytes: 1 << 17)))
      }
    case 5: host.units[UInt8(decisions.choice(Int(Self.units)))]?.raise(.capacityChanged)
    case 6: host.units[Self.dvd] = SCSIUnit(.dvd(byteCount: 100 * 2048, identifier: GUID(low: 9, high: 9)))
    default: host.ports[0]?.channel.unitsChanged()
    }
  }

  private mutating func command() {
    let unit = UInt8(decisions.choice(Int(Self.units)))
    let channel = anyChannel()
    let count = 1 + decisions.choice(decisions.oneIn(16) ? 32 : 6)
    let first = decisions.choice(Self.sectors - count + 1)
    let sectors = first..<first + count
    let offset = decisions.choice(512) * 8
    switch decisions.choice(10) {
    case 0...3:
      guard guest.isFree(unit, sectors) else { return }
      var block = SCSICommandBlock(.read10, byteCount: 10)
      block.set(UInt32(first), at: 2)
      block.set(UInt16(count), at: 7)
      guest.send(
        block, to: unit, on: channel, direction: .read, byteCount: count * 512, offset: offset, kind: .read,
        sectors: sectors)
    case 4...6:
      guard guest.isFree(unit, sectors) else { return }
      stamp &+= 1
      var block = SCSICommandBlock(.write16, byteCount: 16)
      block.set(UInt64(first), at: 2)
      block.set(UInt32(count), at: 10)
      let fill = (0..<count).flatMap { _ in StorageGuest.sector(stamp) }
      guest.send(
        block, to: unit, on: channel, direction: .write, byteCount: count * 512, offset: offset, kind: .write(stamp),
        sectors: sectors, fill: fill)
    case 7:
      guard guest.isFree(unit, sectors) else { return }
      var block = SCSICommandBlock(.unmap, byteCount: 10)
      block.set(40 as UInt16, at: 7)
      // Two ranges that are one.
      let half = count / 2
      let list: [UInt8] =
        [0, 38, 0, 32, 0, 0, 0, 0] + Self.descriptor(first, half) + Self.descriptor(first + half, count - half)
      guest.send(
        block, to: unit, on: channel, direction: .write, byteCount: 40, offset: offset, kind: .write(0),
        sectors: sectors, fill: list)
    case 8:
      guest.send(
        SCSICommandBlock(.synchronizeCache10, byteCount: 10), to: unit, on: channel, direction: .none, byteCount: 0,
        offset: 0, kind: .other)
    default: otherCommand(channel, offset)
    }
  }

  private static func descriptor(_ first: Int, _ count: Int) -> [UInt8] {
    [0, 0, 0, 0, 0, 0, UInt8(first >> 8), UInt8(first & 0xFF), 0, 0, 0, UInt8(count), 0, 0, 0, 0]
  }

  /// Anything that does not change a disk: to units that are there or not, with buffers of any size.
  private mutating func otherCommand(_ channel: UInt16, _ offset: Int) {
    var block = SCSICommandBlock(low: decisions.word(), high: decisions.word(), byteCount: 1 + decisions.choice(16))
    if decisions.oneIn(2) {
      let usual: [UInt8] = [0x00, 0x03, 0x12, 0x1A, 0x25, 0x5A, 0x9E, 0xA0, 0x43, 0x46, 0x4A, 0x51, 0x52, 0x1B, 0x1E]
      block = SCSICommandBlock(low: block.low & ~0xFF, high: block.high, byteCount: 12)
      block[0] = usual[decisions.choice(usual.count)]
      block[1] = UInt8(decisions.choice(4))
    }
    let changing: [SCSIOperation] = [
      .write6, .write10, .write12, .write16, .writeSame10, .writeSame16, .unmap, .modeSelect6, .modeSelect10,
    ]
    if changing.contains(block.operation) { return }
    let unit = decisions.oneIn(3) ? Self.dvd : UInt8(decisions.choice(70))
    if unit == Self.dvd, decisions.oneIn(4) {
      // START STOP UNIT: eject.
      block = SCSICommandBlock(low: 0x02_0000_001B, high: 0, byteCount: 6)
    }
    guest.send(
      block, to: unit, on: channel, direction: .read, byteCount: decisions.choice(3) * decisions.choice(700),
      offset: offset, kind: .other)
  }

  // MARK: A hostile guest

  /// A packet that no driver sends, on any channel. What it asks for is answered, once.
  private mutating func garbage() {
    guard let port = guest.ports[anyChannel()] else { return }
    var packet = [UInt8](repeating: 0, count: decisions.oneIn(4) ? decisions.choice(100) : 64)
    for index in packet.indices where decisions.oneIn(4) { packet[index] = UInt8(truncatingIfNeeded: decisions.word()) }
    if packet.count > 3 {
      packet[0] = UInt8(decisions.choice(16))
      packet[1...3] = [0, 0, 0]
    }
    // No command of it may change a disk: the walk could not account for it.
    if packet.count > 28, packet[0] == 3 { packet[28] = 0x28 }
    var tail: [UInt8] = []
    if decisions.oneIn(3) {
      tail = (0..<8 * (1 + decisions.choice(6))).map { _ in UInt8(truncatingIfNeeded: decisions.word()) }
      if decisions.oneIn(2), tail.count >= 8 { tail[4...7] = [1, 0, 0, 0] }
      if decisions.oneIn(2), tail.count >= 16 { tail[10...15] = [0, 0, 0, 0, 0, 0] }
    }
    // Ids that were never issued, and those that are in flight.
    let id = decisions.oneIn(4) ? port.owed.keys.min() ?? 0 : 1 << 50 | UInt64(decisions.choice(16))
    let types: [PacketType] = [.inBand, .gpaDirect, .transferPages, .gpadl, PacketType(rawValue: 77)]
    let type = decisions.oneIn(8) ? types[decisions.choice(types.count)] : tail.isEmpty ? .inBand : .gpaDirect
    port.sendRaw(type, id, tail: tail, payload: packet)
  }

  // MARK: The end

  /// Everything that is under way comes to its end.
  public mutating func settle() -> String? {
    for _ in 0..<10_000 {
      for index in host.ports.keys.sorted() {
        host.serve(index)
        guest.receive(index)
      }
      while !host.pending.isEmpty { host.work(0) }
      for index in guest.ports.keys where host.ports[index] == nil { guest.close(index) }
      if let problem = guest.problem ?? host.problem() { return problem }
      if guest.owesNothing() == nil { return nil }
      if host.ports.values.contains(where: \.isBroken) { return nil }
    }
    return guest.owesNothing()
  }
}

extension GuestPort {
  func sendRaw(_ type: PacketType, _ id: UInt64, tail: [UInt8], payload: [UInt8]) {
    do throws(RingError) {
      try writer.write(
        type: type, completionRequested: true, transactionID: id, descriptorTail: unsafe tail.span.bytes,
        payload: unsafe payload.span.bytes)
    } catch {
      return
    }
    _ = writer.commit()
    owed[id, default: 0] += 1
  }
}
