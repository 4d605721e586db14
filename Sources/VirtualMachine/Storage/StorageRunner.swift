// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Glibc
import HostSystem
import Partition
import ServiceProviders
import Synchronization
import VMBus
import VirtualDisks

/// What a storage channel's thread needs of its controller.
protocol StorageRunnerOwner: AnyObject, Sendable {
  /// The unit with this number, and the numbers of all.
  func unit(_ number: UInt8) -> StorageUnit?
  var unitNumbers: SCSIUnitSet { get }
  /// Something for the controller's provider. On the channel's thread, without locks.
  func control(_ control: StorageControl, on channel: inout StorageChannel)
  /// The reset under way has nothing more to wait for on this channel.
  func drained(_ channel: UInt16)
  /// The guest put its disc out.
  func ejected(_ unit: StorageUnit)
  /// The guest broke the ring: the channel does nothing more until it is closed.
  func broke(_ channel: UInt16, _ error: RingError)
}

/// One open channel of a storage controller: its thread, its rings, its requests.
///
/// The thread sleeps in the drives' queue, where the guest's signals, finished requests and orders from the controller
/// wake it.
final class StorageRunner: ChannelRunner {
  /// What others want of the thread.
  enum Order: Sendable {
    case reset(StorageScope)
    case answer(StorageRequestID, NTStatus)
    case unitsChanged
    /// Finish what is under way, and end.
    case end
  }

  /// The longest packet: 1 MiB of data in 257 pages, and 64 bytes.
  static let largestPacket = 8192

  let index: UInt16
  let bell: DriveBell
  private let orders = Mutex<[Order]>([])
  private let target: Atomic<UInt32>
  private let thread = Mutex<DedicatedThread?>(nil)

  init(index: UInt16, target: VPIndex) throws(PartitionError) {
    self.index = index
    self.target = Atomic(target.rawValue)
    do throws(SystemError) { bell = try DriveBell() } catch {
      throw .system(operation: "making an event descriptor", errno: error.error)
    }
  }

  /// Starts the thread. It runs `prepare` before it looks at the channel. `signal` raises the channel's interrupt at a
  /// processor.
  func start(
    _ channel: consuming sending StorageChannel, _ rings: sending ChannelRings, memory: GuestMemory,
    slots: Int, owner: any StorageRunnerOwner, prepare: @escaping @Sendable () -> Void,
    signal: @escaping @Sendable (VPIndex) -> Void
  ) throws(PartitionError) {
    let parts = Mutex<StorageWork?>(
      StorageWork(
        channel: channel, rings: rings, memory: memory, slots: slots, owner: owner, runner: self, signal: signal))
    let handle = try DedicatedThread.forPartition(name: "storage") {
      guard let work = parts.withLock({ $0.take() }) else { return }
      prepare()
      work.run()
    }
    thread.withLock { $0 = handle }
  }

  func order(_ order: Order) {
    orders.withLock { $0.append(order) }
    ring()
  }

  func takeOrders() -> [Order] {
    orders.withLock { orders in
      defer { orders.removeAll(keepingCapacity: true) }
      return orders
    }
  }

  func retarget(to vp: VPIndex) {
    target.store(vp.rawValue, ordering: .relaxed)
    // An interrupt may have gone to the old processor while the guest moved.
    ring()
  }

  func ring() { bell.ring() }

  var targetVP: VPIndex { VPIndex(target.load(ordering: .relaxed)) }

  /// The thread begins nothing more.
  func end() { order(.end) }

  /// After `end`: returns when nothing of the channel is under way any more.
  func join() { thread.withLock { $0.take() }?.join() }
}
