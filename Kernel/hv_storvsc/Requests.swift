// SPDX-License-Identifier: Apache-2.0

import CStorage
import DeviceProtocols
import KernelChannel
import KernelSupport
import ServiceClients
import VMBus

@c(hvs_send)
public func sendCommand(_ argument: UnsafeMutableRawPointer?) {
  guard let command = unsafe argument?.assumingMemoryBound(to: hvs_command.self),
    let lane = unsafe command.pointee.lane?.lane
  else { return }
  unsafe command.pointee.outcome = outcome(HVS_TRIED)
  let block = unsafe SCSICommandBlock(
    low: command.pointee.block.0, high: command.pointee.block.1, byteCount: Int(command.pointee.block_bytes))
  var request = unsafe StorageCommand(
    unit: command.pointee.unit, block, direction: StorageDirection(rawValue: command.pointee.direction),
    byteCount: command.pointee.byte_count, context: command.pointee.context)
  request.path = unsafe command.pointee.path
  request.target = unsafe command.pointee.target
  let packet: StoragePacket
  do throws(StorageClientFault) {
    packet = try unsafe lane.pointee.queue.begin(request)
  } catch {
    unsafe command.pointee.outcome = outcome(error == .full ? HVS_BUSY : HVS_REFUSED)
    return
  }
  do throws(RingError) {
    try unsafe lane.pointee.send(
      packet, byteCount: command.pointee.byte_count, offset: command.pointee.first_offset,
      frames: command.pointee.frame_count)
    unsafe command.pointee.signal_needed = lane.pointee.rings.writer.commit()
    unsafe command.pointee.outcome = outcome(HVS_SENT)
  } catch {
    unsafe lane.pointee.queue.cancel(packet)
    switch error {
    case .full: unsafe command.pointee.outcome = outcome(HVS_BUSY)
    case .tooLarge: unsafe command.pointee.outcome = outcome(HVS_REFUSED)
    case .corrupt:
      unsafe lane.pointee.channel.fail(.corrupt)
      unsafe command.pointee.outcome = outcome(HVS_UNTRIED)
    }
  }
}

private func outcome(_ value: hvs_outcome) -> UInt8 { UInt8(truncatingIfNeeded: value.rawValue) }

/// Takes what the host sent, as much as the batch has room for.
@c(hvs_drain)
public func drain(_ argument: UnsafeMutableRawPointer?) {
  guard let batch = unsafe argument?.assumingMemoryBound(to: hvs_batch.self),
    let lane = unsafe batch.pointee.lane?.lane
  else { return }
  let inbox = unsafe UnsafeMutableRawBufferPointer(start: lane.pointee.inbox, count: Lane.inboxBytes)
  var looks = 0
  unsafe batch.pointee.more = true
  // Twice the ends: what ends no command takes its turn as well.
  while unsafe batch.pointee.count < UInt32(HVS_BATCH), looks < 2 &* Int(HVS_BATCH) {
    looks &+= 1
    do throws(RingError) {
      guard let packet = try unsafe lane.pointee.rings.reader.next(into: inbox) else {
        unsafe batch.pointee.more = false
        break
      }
      unsafe take(packet, RawSpan(_unsafeBytes: UnsafeRawBufferPointer(inbox)), lane, batch)
    } catch {
      unsafe lane.pointee.channel.fail(.corrupt)
      unsafe batch.pointee.more = false
      break
    }
  }
  let answered = unsafe lane.pointee.rings.writer.commit()
  let freed = unsafe lane.pointee.rings.reader.commit()
  unsafe batch.pointee.signal_needed = answered || freed
}

private func take(
  _ packet: Packet, _ bytes: RawSpan, _ lane: UnsafeMutablePointer<Lane>, _ batch: UnsafeMutablePointer<hvs_batch>
) {
  do throws(StorageClientFault) {
    switch try unsafe lane.pointee.queue.receive(packet, in: bytes) {
    case .completed(let completion):
      let index = unsafe Int(batch.pointee.count)
      guard let ends = unsafe batch.pointee.ends, index < Int(HVS_BATCH) else { return }
      unsafe fill(&ends[index], completion)
      unsafe batch.pointee.count = UInt32(truncatingIfNeeded: index &+ 1)
    case .unitsChanged: unsafe batch.pointee.units_changed = true
    case .control: try unsafe control(packet, bytes, lane, batch)
    }
  } catch {
    logLimited("the host sent something that is no answer to any request")
  }
}

private func control(
  _ packet: Packet, _ bytes: RawSpan, _ lane: UnsafeMutablePointer<Lane>, _ batch: UnsafeMutablePointer<hvs_batch>
) throws(StorageClientFault) {
  // Controls go out on the first channel only, and the client belongs to its lock.
  guard unsafe lane.pointee.channel.index == 0 else { throw .notOutstanding }
  let payload: RawSpan
  do throws(WireError) {
    payload = try packet.payload(in: bytes)
  } catch {
    throw .truncated
  }
  switch try unsafe lane.pointee.client.pointee.receive(payload, transactionID: packet.transactionID) {
  case .send(let next):
    if unsafe !lane.pointee.send(next) {
      unsafe lane.pointee.client.pointee.giveUp()
      unsafe batch.pointee.settled = true
    }
    unsafe lane.pointee.queue.version = lane.pointee.client.pointee.version
  case .ready:
    unsafe lane.pointee.queue.version = lane.pointee.client.pointee.version
    unsafe batch.pointee.settled = true
  case .failed: unsafe batch.pointee.settled = true
  case .resetDone: unsafe batch.pointee.reset_done = true
  }
}

private func fill(_ end: inout hvs_end, _ completion: StorageCompletion) {
  end.context = completion.context
  end.byte_count = completion.byteCount
  end.sense_bytes = 0
  end.status = 0
  var how = HVS_ERROR
  var follow = HVS_NOTHING
  switch completion.verdict {
  case .success: how = HVS_GOOD
  case .noUnit:
    how = HVS_NO_UNIT
    follow = HVS_UNIT_GONE
  case .deviceError(let status, let known):
    // "Error" with a good status says nothing, and neither does CHECK CONDITION without a reason: an error to retry.
    if status == .good || status == .checkCondition && completion.rawSense.byteCount == 0 { break }
    how = HVS_STATUS
    end.status = status.rawValue
    let sense = completion.rawSense
    end.sense = (sense.low, sense.high, UInt64(sense.last))
    end.sense_bytes = completion.rawSense.byteCount
    if let sense = known, sense.key == .unitAttention { follow = consequence(of: sense.additional) }
  case .aborted, .adapterError: break
  }
  end.how = UInt8(truncatingIfNeeded: how.rawValue)
  end.follow = UInt8(truncatingIfNeeded: follow.rawValue)
}

/// What a unit attention asks for, beyond what the SCSI layer does itself.
private func consequence(of sense: AdditionalSense) -> hvs_follow {
  if sense == .capacityChanged { return HVS_LOOK_AGAIN }
  if sense == .reportedUnitsChanged { return HVS_LOOK_AROUND }
  // 3F: something about the unit; 03 is its own INQUIRY data, which the SCSI layer asks for again.
  return sense.code == 0x3F && sense.qualifier != 0x03 ? HVS_LOOK_AGAIN : HVS_NOTHING
}
