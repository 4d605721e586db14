// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import HostSystem
import Partition
import ServiceProviders
import Synchronization
import VMBus
import VirtualSwitch

/// What a network channel's thread needs of its adapter.
protocol NetworkRunnerOwner: AnyObject, Sendable {
  /// Something for the adapter's provider. On the channel's thread, without locks.
  func control(_ control: NetworkControl, from runner: NetworkRunner)
  /// The port that frames go to, and a number that changes with it.
  var port: (connection: (any SwitchConnection)?, number: Int) { get }
  /// A look at `port`'s number without a lock.
  var portNumber: Int { get }
  /// The guest broke the ring: the channel does nothing more until it is closed.
  func broke(_ channel: UInt16, _ error: RingError)
}

/// One open channel of a network adapter: the thread that takes what the guest sends, and the place where frames for the
/// guest arrive, on the threads of those that send them.
final class NetworkRunner: ChannelRunner {
  /// The longest packet of a guest: Linux's has 35 ranges of one page.
  static let largestPacket = 8192

  let index: UInt16
  let bell: EventDescriptor
  private let lane: Mutex<NetworkLane>
  private let target: Atomic<UInt32>
  private let isEnding = Atomic(false)
  private let signal: @Sendable (VPIndex) -> Void
  private let thread = Mutex<DedicatedThread?>(nil)

  /// `signal` raises the channel's interrupt at a processor.
  init(
    _ channel: consuming sending NetworkChannel, _ ring: sending OutgoingRing, memory: GuestMemory, target: VPIndex,
    signal: @escaping @Sendable (VPIndex) -> Void
  ) throws(PartitionError) {
    index = channel.index
    bell = try EventDescriptor.forPartition()
    self.target = Atomic(target.rawValue)
    self.signal = signal
    lane = Mutex(NetworkLane(channel: channel, ring: ring, memory: GuestNetworkMemory(memory: memory)))
  }

  /// Starts the thread.
  func start(_ ring: sending IncomingRing, owner: any NetworkRunnerOwner) throws(PartitionError) {
    let parts = Mutex<IncomingRing?>(ring)
    let handle = try DedicatedThread.forPartition(name: "network") { [self] in
      guard let ring = parts.withLock({ $0.take() }) else { return }
      NetworkWork(runner: self, ring: ring, owner: owner).run()
    }
    thread.withLock { $0 = handle }
  }

  /// Returns when nothing of the channel is under way any more.
  func stop() {
    isEnding.store(true, ordering: .releasing)
    ring()
    thread.withLock { $0.take() }?.join()
    lane.withLock { $0.close() }
  }

  var mustEnd: Bool { isEnding.load(ordering: .acquiring) }

  func retarget(to vp: VPIndex) {
    target.store(vp.rawValue, ordering: .relaxed)
    // An interrupt may have gone to the old processor while the guest moved.
    ring()
  }

  func ring() { bell.signal() }

  func interruptGuest() { signal(VPIndex(target.load(ordering: .relaxed))) }

  /// What the channel has seen.
  var counters: NetworkCounters { lane.withLock { $0.channel.counters } }

  // MARK: Under the lock

  func withLane<R: Sendable>(_ body: (inout NetworkLane) -> R) -> R { lane.withLock { body(&$0) } }

  func order(_ order: NetworkOrder) {
    lane.withLock { $0.channel.carryOut(order) }
    ring()
  }

  /// A frame for the guest. False: there is no room, or the guest does not want it.
  func accept(_ frame: FrameView, hash: UInt32?) -> Bool { withLane { $0.accept(frame, hash: hash) } }

  /// Tells the guest of what it got, on any thread. A ring that the guest broke is the channel's thread's business, and so
  /// is what it left in the guest's ring for want of room: the guest, whose wish to signal is met here, says nothing more.
  func deliver() {
    let (signal, mustLook) = lane.withLock { lane in
      let wasUsable = lane.isUsable
      let wasFull = !lane.channel.canReceive
      let signal = lane.deliver()
      return (signal, wasUsable && (!lane.isUsable || wasFull && lane.channel.canReceive))
    }
    if signal { interruptGuest() }
    if mustLook { ring() }
  }
}
