// SPDX-License-Identifier: Apache-2.0

import BusWalk
import DeviceProtocols
import ServiceClients
import StorageWalk
import VMBus
import VirtualDisks

/// Storage: both ends of its protocol with a hostile guest in between, its client against a hostile host, and the SCSI
/// models on any command.
enum StorageTargets {
  /// The walk of `StorageTests` under a schedule of the fuzzer's.
  static func walk(_ script: inout Script) {
    let versions: [StorageVersion] = [.v6_2, .v6_0, .v5_1, .v4_2, .v2_0]
    let version = versions[script.choice(3)]
    let isHostile = !script.oneIn(4)
    var walk = StorageWalk(
      decisions: ScriptDecisions(script: script), maximumVersion: version, isHostile: isHostile)
    while !walk.decisions.script.isEmpty {
      if let problem = walk.step() { violated(problem) }
    }
    if let problem = walk.settle() { violated(problem) }
  }

  /// The guest's end against a host that answers what was sent, mostly in the right form.
  static func client(_ script: inout Script) {
    let capacity = 8
    let table = UnsafeMutableRawPointer.allocate(
      byteCount: StorageQueue.tableBytes(capacity: capacity), alignment: 16)
    defer { unsafe table.deallocate() }
    var client = StorageClient(wantedSubChannels: 3)
    var queue = unsafe StorageQueue(version: .v6_2, table: table, capacity: capacity)
    var outstanding: Set<UInt64> = []
    var sent: [UInt64] = []
    var context: UInt64 = 0
    sent.append(client.channelOpened().transactionID)
    while !script.isEmpty {
      switch script.choice(12) {
      case 0:
        if script.oneIn(8) { sent.append(client.channelOpened().transactionID) }
      case 1:
        if let packet = try? client.reset() { sent.append(packet.transactionID) }
      case 2:
        guard script.oneIn(8) else { continue }
        while let completion = queue.abandon() { end(completion, &outstanding) }
        queue.channelOpened(version: script.oneIn(4) ? .v4_2 : .v6_2)
      case 3, 4, 5:
        let command = StorageCommand(
          unit: script.byte(), SCSICommandBlock(low: script.word64(), high: 0, byteCount: 10), direction: .read,
          byteCount: UInt32(script.word16()), context: context)
        guard let packet = try? queue.begin(command) else { continue }
        if script.oneIn(16) {
          queue.cancel(packet)
        } else {
          outstanding.insert(context)
          sent.append(packet.transactionID)
        }
        context += 1
      default: answer(&script, &client, &queue, &sent, &outstanding)
      }
      precondition(queue.outstanding == outstanding.count, "\(queue.outstanding) of \(outstanding.count)")
    }
    while let completion = queue.abandon() { end(completion, &outstanding) }
    precondition(outstanding.isEmpty, "requests without an end")
  }

  private static func end(_ completion: StorageCompletion, _ outstanding: inout Set<UInt64>) {
    precondition(outstanding.remove(completion.context) != nil, "\(completion.context) ended twice")
    precondition(completion.byteCount <= 0xFFFF, "more than was asked for")
  }

  private static func answer(
    _ script: inout Script, _ client: inout StorageClient, _ queue: inout StorageQueue, _ sent: inout [UInt64],
    _ outstanding: inout Set<UInt64>
  ) {
    var message = WireMessage()
    message.add(script.mostly(UInt32(1)))
    message.add(0 as UInt32)
    message.add(script.oneIn(4) ? script.word32() : 0)
    for _ in 0..<13 { message.add(script.oneIn(3) ? script.word32() : 0x0010_0001) }
    message.damage(&script)
    let id = sent.isEmpty || script.oneIn(8) ? script.word64() : sent[script.choice(sent.count)]
    let types: [PacketType] = [.completion, .inBand, .gpaDirect]
    let type = script.oneIn(8) ? types[script.choice(3)] : .completion
    let bytes = [UInt8](repeating: 0, count: 16) + message.bytes
    let packet = Packet(
      type: type, completionRequested: false, transactionID: id, payloadOffset: 16, byteCount: bytes.count)
    do throws(StorageClientFault) {
      switch try queue.receive(packet, in: unsafe bytes.span.bytes) {
      case .completed(let completion): end(completion, &outstanding)
      case .unitsChanged: break
      case .control:
        let payload = unsafe bytes.span.bytes.extracting(droppingFirst: 16)
        if case .send(let next) = try client.receive(payload, transactionID: id) { sent.append(next.transactionID) }
      }
    } catch {
      // Dropped, as it should be.
    }
    precondition(client.subChannels <= 3 && client.maximumTransferBytes <= 1 << 20)
  }

  /// Commands of a guest to a disk and to a DVD: what they ask of the drive lies inside it, what they send inside the
  /// buffer.
  static func scsi(_ script: inout Script) {
    let size: UInt32 = script.oneIn(2) ? 512 : 4096
    let drive = DriveCharacteristics(
      byteCount: UInt64(size) * 3000, logicalSectorSize: size, isReadOnly: script.oneIn(4),
      discardGranularity: script.oneIn(4) ? nil : 4096, identifier: GUID(low: 1, high: 2))
    var units = [SCSIUnit(drive), SCSIUnit(.dvd(byteCount: 3000 * 2048, identifier: GUID(low: 3, high: 4)))]
    var response = SCSIResponse()
    while !script.isEmpty {
      let which = script.choice(2)
      if script.oneIn(16) { units[which].reset() }
      if script.oneIn(16) { units[which].raise(.capacityChanged) }
      let block = SCSICommandBlock(low: script.word64(), high: script.word64(), byteCount: script.choice(17))
      let data = script.take(script.choice(128))
      let room = script.oneIn(2) ? UInt32(data.count) : script.word32() >> 8
      run(
        SCSICommand(block, bufferByteCount: room, units: SCSIUnitSet(rawValue: script.word64())), &units[which], data,
        &response, &script)
    }
  }

  private static func run(
    _ command: SCSICommand, _ unit: inout SCSIUnit, _ data: [UInt8], _ response: inout SCSIResponse,
    _ script: inout Script
  ) {
    let characteristics = unit.characteristics
    var step = unit.begin(command, into: &response)
    var sends = true
    for _ in 0..<1000 {
      switch step {
      case .complete(let outcome), .ejected(let outcome):
        precondition(outcome.byteCount <= command.bufferByteCount, "\(outcome.byteCount) bytes")
        precondition(!sends || Int(outcome.byteCount) <= response.bytes.byteCount || outcome.byteCount == 0)
        precondition((outcome.status == .checkCondition) == (outcome.sense != nil))
        return
      case .transfer(let request, let task):
        let sector = characteristics.logicalSectorSize
        precondition(request.fits(in: characteristics.byteCount), "\(request)")
        precondition(request.bufferByteCount(sectorSize: sector) <= UInt64(command.bufferByteCount))
        sends = false
        let failures: [DriveFailure] = [.outOfRange, .readFailed, .noSpace, .miscompare, .cancelled, .badBuffer]
        step = task.finish(
          script.oneIn(4)
            ? .failure(failures[script.choice(failures.count)], at: script.oneIn(2) ? script.word64() : nil) : .success)
      case .fetch(let byteCount, let task):
        precondition(byteCount <= Int(command.bufferByteCount))
        sends = false
        let copy = Array((data + [UInt8](repeating: 0, count: byteCount)).prefix(byteCount))
        step = unit.resume(task, data: unsafe copy.span.bytes)
      }
    }
    preconditionFailure("a command without an end")
  }
}
