// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Dispatch
import Partition
import Synchronization
import VMBus

/// What a partition calls: the way from processor threads into the machine.
///
/// It stands between the two because the partition is made before the machine is whole, and holds the machine weakly
/// because the machine owns the partition.
final class PartitionInlet: PartitionDelegate {
  private struct Target {
    weak var machine: VirtualMachine?
  }

  private let target = Mutex(Target())
  /// For the hot path, without the lock: the bus lives as long as anything can call in.
  private let bus = AtomicLazyReference<PartitionBus>()

  func connect(_ machine: VirtualMachine) {
    _ = bus.storeIfNil(machine.bus)
    target.withLock { $0.machine = machine }
  }

  private var machine: VirtualMachine? { target.withLock { $0.machine } }

  func postMessage(connection: UInt32, messageType: UInt32, payload: RawSpan) -> UInt16 {
    bus.load()?.postMessage(connection: connection, messageType: messageType, payload: payload)
      ?? HypercallStatus.invalidConnectionID.rawValue
  }

  func signalEvent(connection: UInt32, flag: UInt16) -> UInt16 {
    bus.load()?.signalEvent(connection: connection, flag: flag) ?? HypercallStatus.invalidConnectionID.rawValue
  }

  func messageSlotFreed(vp: UInt32) { bus.load()?.messageSlotFreed() }

  func partitionDidEnd(_ end: PartitionEnd) {
    guard let machine else { return }
    machine.lifeQueue.async { machine.ended(end) }
  }

  func guestCrashed(_ report: PartitionCrash) {
    guard let machine else { return }
    machine.lifeQueue.async { machine.crashed(report) }
  }

  /// A disk waits for space, or does not any more.
  func spaceChanged(isShort: Bool, drive: String) {
    guard let machine else { return }
    machine.lifeQueue.async { machine.spaceChanged(isShort: isShort, drive: drive) }
  }

  /// The guest's data exchange daemon is there, for the first time or again.
  func keyValuesReady() {
    guard let machine else { return }
    Task { await machine.fillExternalPool() }
  }
}
