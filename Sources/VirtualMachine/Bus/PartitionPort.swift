// SPDX-License-Identifier: Apache-2.0

import Partition
import Synchronization
import VMBus

/// The partition as the bus and the channels see it: a place to post, signal and bind doorbells.
///
/// The partition is made with its delegate, and the delegate with its bus, so the port is made first and connected when
/// the partition exists. Before that nothing can be signalled, since no processor runs.
final class PartitionPort: Sendable {
  private let partition = AtomicLazyReference<Partition>()

  func connect(_ partition: Partition) { _ = self.partition.storeIfNil(partition) }

  private var connected: Partition? { partition.load() }

  func post(_ payload: RawSpan, to vp: VPIndex) -> Bool {
    connected?.postSynICMessage(payload, to: vp.rawValue) ?? false
  }

  /// Raises the channel's interrupt, unless the guest asked for none.
  func signal(_ channel: ChannelID, at vp: VPIndex) {
    guard vp != .none else { return }
    connected?.signalSynICEvent(flag: channel.rawValue, vp: vp.rawValue)
  }

  func bindDoorbell(_ connection: ConnectionID, to eventDescriptor: Int32) -> Bool {
    guard let connected else { return false }
    return (try? connected.bindDoorbell(connection: connection.rawValue, eventFD: eventDescriptor)) != nil
  }

  func unbindDoorbell(_ connection: ConnectionID, from eventDescriptor: Int32) {
    connected?.unbindDoorbell(connection: connection.rawValue, eventFD: eventDescriptor)
  }

  /// 0 while there is no partition.
  var referenceTime: UInt64 { connected?.referenceTime ?? 0 }
  var memory: GuestMemory? { connected?.memory }
}
