// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import VMBus

/// Every integration service's client on one packet.
@c(check_services)
public func checkServices(_ bytes: UnsafeMutableRawPointer, _ count: Int, _ which: Int32) -> Int32 {
  let buffer = unsafe UnsafeMutableRawBufferPointer(start: bytes, count: count)
  var packet = unsafe buffer.mutableBytes
  do throws(ClientFault) {
    switch which {
    case 0:
      var client = HeartbeatClient()
      client.channelOpened()
      _ = try client.receive(&packet)
    case 1:
      var client = ShutdownClient()
      client.channelOpened()
      _ = try client.receive(&packet)
      return client.takeAction() == nil ? 0 : 1
    case 2:
      var client = VolumeSnapshotClient()
      client.channelOpened()
      _ = try client.receive(&packet)
      try client.answer(.ok, in: &packet)
    case 3:
      var client = FileCopyClient()
      client.channelOpened()
      _ = try client.receive(&packet)
      try client.answer(.ok, in: &packet)
    case 4:
      var client = KeyValuePairClient()
      client.channelOpened()
      _ = try client.receive(&packet)
    default:
      var client = TimeSynchronizationClient()
      client.channelOpened()
      _ = try client.receive(&packet, referenceTime: 0)
      return client.takeSetting(referenceTime: 1) == nil ? 0 : 1
    }
    return 0
  } catch {
    return -22
  }
}
