// SPDX-License-Identifier: Apache-2.0

import CStorage
import DeviceProtocols
import KernelChannel
import ServiceClients
import VMBus

/// Bytes of the longest request that we build packets for.
private var largestTransfer: UInt32 { 1 &<< 20 }

@c(hvs_measure)
public func measure(_ argument: UnsafeMutableRawPointer?) {
  guard let sizes = unsafe argument?.assumingMemoryBound(to: hvs_sizes.self) else { return }
  unsafe sizes.pointee.client_bytes = UInt32(truncatingIfNeeded: MemoryLayout<StorageClient>.stride)
  unsafe sizes.pointee.lane_bytes = UInt32(
    truncatingIfNeeded: Lane.byteCount(slots: Int(sizes.pointee.slots)))
  unsafe sizes.pointee.largest_transfer = largestTransfer
}

@c(hvs_controller_begin)
public func beginController(_ argument: UnsafeMutableRawPointer?) {
  guard let controller = unsafe argument?.assumingMemoryBound(to: hvs_controller.self) else { return }
  guard let memory = unsafe controller.pointee.client else { return }
  // One disk of an emulated channel has one queue.
  let wanted = unsafe controller.pointee.is_ide ? 0 : controller.pointee.wanted_channels
  unsafe memory.initializeMemory(
    as: StorageClient.self,
    repeating: StorageClient(
      largestTransfer: largestTransfer, wantedSubChannels: UInt16(truncatingIfNeeded: min(wanted, 1024))),
    count: 1)
  // The second field of an IDE disk's GUID is its place on its channel.
  if unsafe controller.pointee.is_ide, let instance = unsafe controller.pointee.instance {
    unsafe controller.pointee.target = UInt32(instance[4]) | UInt32(instance[5]) &<< 8
  }
}

@c(hvs_lane_open)
public func openLane(_ argument: UnsafeMutableRawPointer?) {
  guard let opening = unsafe argument?.assumingMemoryBound(to: hvs_lane_opening.self),
    let memory = unsafe opening.pointee.lane, let client = unsafe opening.pointee.client,
    let channel = unsafe opening.pointee.channel, let descriptor = unsafe opening.pointee.descriptor
  else { return }
  let handle = unsafe ChannelHandle(channel)
  do throws(RingError) {
    let rings = try ChannelRings.make(handle)
    unsafe memory.assumingMemoryBound(to: Lane.self).initialize(
      to: Lane(
        rings: rings, memory: memory, slots: Int(opening.pointee.slots), channel: handle,
        client: client.assumingMemoryBound(to: StorageClient.self), descriptor: descriptor))
    unsafe opening.pointee.done = true
  } catch {
    handle.fail(.corrupt)
  }
}

@c(hvs_handshake)
public func beginHandshake(_ argument: UnsafeMutableRawPointer?) {
  guard let control = unsafe argument?.assumingMemoryBound(to: hvs_control.self),
    let lane = unsafe control.pointee.lane?.lane
  else { return }
  let packet = unsafe lane.pointee.client.pointee.channelOpened()
  unsafe control.pointee.done = lane.pointee.send(packet)
  unsafe control.pointee.signal_needed = lane.pointee.rings.writer.commit()
}

/// Asks the host to give up all it has.
@c(hvs_reset)
public func reset(_ argument: UnsafeMutableRawPointer?) {
  guard let control = unsafe argument?.assumingMemoryBound(to: hvs_control.self),
    let lane = unsafe control.pointee.lane?.lane
  else { return }
  do throws(StorageClientFault) {
    let packet = try unsafe lane.pointee.client.pointee.reset()
    unsafe control.pointee.done = lane.pointee.send(packet)
    unsafe control.pointee.signal_needed = lane.pointee.rings.writer.commit()
  } catch {
    // One is under way: its end is waited for as well.
    unsafe control.pointee.done = true
  }
}

@c(hvs_agreed)
public func agreed(_ argument: UnsafeMutableRawPointer?) {
  guard let agreement = unsafe argument?.assumingMemoryBound(to: hvs_agreement.self),
    let lane = unsafe agreement.pointee.lane?.lane
  else { return }
  let client = unsafe lane.pointee.client
  unsafe agreement.pointee.version = client.pointee.version.rawValue
  unsafe agreement.pointee.largest_transfer = client.pointee.maximumTransferBytes
  unsafe agreement.pointee.further_channels = UInt32(client.pointee.subChannels)
  unsafe agreement.pointee.wants_channel = client.pointee.accepts(
    subChannel: UInt16(truncatingIfNeeded: agreement.pointee.channel_index))
  switch unsafe client.pointee.state {
  case .ready:
    unsafe agreement.pointee.settled = true
    unsafe agreement.pointee.ready = true
  case .failed: unsafe agreement.pointee.settled = true
  default: break
  }
}

@c(hvs_unit_found)
public func unitFound(_ argument: UnsafeMutableRawPointer?) {
  guard let unit = unsafe argument?.assumingMemoryBound(to: hvs_unit.self),
    let vendor = unsafe unit.pointee.vendor
  else { return }
  // "Msft", as Hyper-V's disks and ours say.
  let name: InlineArray<4, UInt8> = [0x4D, 0x73, 0x66, 0x74]
  var isOurs = true
  for index in 0..<4 where unsafe UInt8(bitPattern: vendor[index]) != name[index] { isOurs = false }
  unsafe unit.pointee.is_virtual_disk = isOurs
  unsafe unit.pointee.can_write_same = isOurs && StorageVersion(rawValue: unit.pointee.version) >= .v6_2
}
