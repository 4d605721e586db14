// SPDX-License-Identifier: Apache-2.0

import HostSystem
import LegacyDevices
import Partition
import Synchronization
import VirtualDisks

/// The emulated IDE controller at work: the board as a value behind a lock, its drives, and one thread that has their I/O
/// done.
///
/// Processors call in with port accesses and never wait for I/O: they hand requests over. An interrupt leaves as a pulse
/// on an eventfd, since ISA's interrupts are edge-triggered.
///
/// A drive that has a synthetic face, too, is served by one of the two at a time: `withhold` makes the emulated one absent
/// and returns when its last request has ended.
final class LegacyStorage: Sendable {
  private struct State {
    var board: LegacyBoard
    var waiting: [IDERequest] = []
    var effects: [IDEEffect] = []
    /// Requests that the thread has taken and not ended, by drive.
    var underWay: [IDEPosition: Int] = [:]
    var requests: [IDEPosition: UInt64] = [:]
    var batched: [PortRange] = []
    /// Weak, since it holds its devices.
    weak var partition: Partition?
  }

  let drives: [IDEPosition: Drive]
  let bell: DriveBell
  /// The guest has written to the configuration of another function on PCI. Called under the lock.
  private let configured: @Sendable (PCIAddress, PCIConfigurationSpace) -> Void
  private let state: Mutex<State>
  /// Signalled when the thread has ended a request of the drive with this index. One of each, since one waits for each:
  /// whoever hands the drive over, or a reset, which comes when all channels are closed.
  private let settled: [Line]
  private let lines: [Line]
  private let stopping = Atomic<Bool>(false)
  private let thread = Mutex<DedicatedThread?>(nil)
  /// Called on the I/O thread and on processors'.
  private let observer = AtomicLazyReference<Observer>()

  private final class Observer: Sendable {
    let report: @Sendable (LegacyReport) -> Void
    init(_ report: @escaping @Sendable (LegacyReport) -> Void) { self.report = report }
  }

  private final class Line: Sendable {
    let event: EventDescriptor
    init() throws(PartitionError) { event = try EventDescriptor.forPartition() }
  }

  init(
    _ drives: [IDEPosition: Drive], functions: [PCIAddress: PCIConfigurationSpace] = [:],
    configured: @escaping @Sendable (PCIAddress, PCIConfigurationSpace) -> Void = { _, _ in }
  ) throws(PartitionError) {
    self.drives = drives
    self.configured = configured
    state = Mutex(State(board: LegacyBoard(drives: drives.mapValues(\.characteristics), functions: functions)))
    do throws(SystemError) { bell = try DriveBell() } catch {
      throw .system(operation: "making an event descriptor", errno: error.error)
    }
    settled = [try Line(), try Line(), try Line(), try Line()]
    lines = [try Line(), try Line()]
  }

  /// Once, before a processor runs. `report` must not call back, nor wait.
  func observe(_ report: @escaping @Sendable (LegacyReport) -> Void) { _ = observer.storeIfNil(Observer(report)) }

  /// Once, before a processor runs.
  func connect(_ partition: Partition) throws(PartitionError) {
    for (line, interrupt) in zip(lines, LegacyBoard.interrupts) {
      try partition.bindInterrupt(interrupt, eventFD: line.event.number)
    }
    state.withLock { state in
      state.partition = partition
      batchWrites(&state)
    }
    if !drives.isEmpty { try start(partition.memory) }
  }

  /// The I/O thread.
  func start(_ memory: GuestMemory) throws(PartitionError) {
    let started = try DedicatedThread.forPartition(name: "ide") { [self] in
      LegacyWork(self, memory: memory).run()
    }
    thread.withLock { $0 = started }
  }

  /// No processor runs any more. The drives and their images are the caller's to close.
  func stop() {
    giveUpWaiting()
    stopping.store(true, ordering: .releasing)
    bell.ring()
    thread.withLock { $0.take() }?.join()
  }

  /// The guest is about to be reset or ended: nothing of it waits for space any more.
  func giveUpWaiting() {
    for drive in drives.values { drive.giveUpWaiting() }
  }

  /// What the emulated drive at a position has been asked for.
  struct Figures: Equatable, Sendable {
    /// Handed to the drive.
    var requests: UInt64
    /// Commands that came while the drive was withheld, and did nothing.
    var refused: UInt64
  }

  func figures(_ position: IDEPosition) -> Figures {
    state.withLock {
      Figures(requests: $0.requests[position] ?? 0, refused: $0.board.refusedCommands(position))
    }
  }

  private func report(_ report: LegacyReport) { observer.load()?.report(report) }

  // MARK: processors

  func portRead(_ port: UInt16, size: Int, into bytes: inout MutableRawSpan) {
    state.withLock { state in
      state.board.read(port, size: size, into: &bytes, &state.effects)
      carryOut(&state)
    }
  }

  func portWrite(_ port: UInt16, size: Int, from bytes: RawSpan) {
    state.withLock { state in
      state.board.write(port, size: size, from: bytes, &state.effects)
      carryOut(&state)
    }
  }

  /// Waits for the requests under way: they may not touch the memory of the guest's next life.
  func portsReset() {
    giveUpWaiting()
    state.withLock { $0.waiting = [] }
    for position in IDEPosition.allCases { settle(position) }
    state.withLock { state in
      state.board.reset()
      batchWrites(&state)
    }
  }

  private func carryOut(_ state: inout State) {
    guard !state.effects.isEmpty else { return }
    for effect in state.effects {
      switch effect {
      case .start(let request):
        state.requests[request.position, default: 0] &+= 1
        state.waiting.append(request)
        bell.ring()
      case .interrupt(let channel, true): lines[channel].event.signal()
      // The line is edge-triggered: nobody looks at its fall.
      case .interrupt(_, false): break
      case .ejected(let position): report(.ejected(position))
      case .busMasterPorts: batchWrites(&state)
      case .configured(let function, let space): configured(function, space)
      }
    }
    state.effects.removeAll(keepingCapacity: true)
  }

  /// Lets the kernel collect writes that have no effect of their own.
  private func batchWrites(_ state: inout State) {
    guard let partition = state.partition else { return }
    let ports = state.board.batchablePorts.map { PortRange(base: $0.base, count: $0.count) }
    guard ports != state.batched else { return }
    for range in state.batched where !ports.contains(range) { partition.endBatchedWrites(to: range) }
    for range in ports where !state.batched.contains(range) { partition.batchWrites(to: range) }
    state.batched = ports
  }

  // MARK: who serves a drive

  /// Makes the emulated drive absent. When it returns, no request of the emulated drive is under way. Not to be called on
  /// a processor's thread or the I/O thread.
  func withhold(_ position: IDEPosition) {
    state.withLock { state in
      state.board.setWithheld(true, position, &state.effects)
      // What has not begun never will: its drive is gone.
      state.waiting.removeAll { $0.position == position }
      carryOut(&state)
    }
    settle(position)
  }

  /// Lets the guest see the emulated drive again. Nobody else uses the drive any more.
  func giveBack(_ position: IDEPosition) {
    state.withLock { state in
      state.board.setWithheld(false, position, &state.effects)
      carryOut(&state)
    }
  }

  func isWithheld(_ position: IDEPosition) -> Bool { state.withLock { $0.board.isWithheld(position) } }

  private func settle(_ position: IDEPosition) {
    while state.withLock({ $0.underWay[position] != nil }) { settled[position.index].event.wait() }
  }

  // MARK: changes by the host

  /// A disk has another size. A guest that uses the emulated drive is not told.
  func resize(_ position: IDEPosition, byteCount: UInt64) {
    state.withLock { $0.board.resize(position, byteCount: byteCount) }
  }

  func insertDisc(_ position: IDEPosition, byteCount: UInt64) {
    state.withLock { $0.board.insertDisc(position, byteCount: byteCount) }
  }

  func removeDisc(_ position: IDEPosition) { state.withLock { $0.board.removeDisc(position) } }

  /// false: the guest has locked the door, and was asked.
  func requestEject(_ position: IDEPosition) -> Bool { state.withLock { $0.board.requestEject(position) } }

  // MARK: the I/O thread

  var isStopping: Bool { stopping.load(ordering: .acquiring) }

  func takeWaiting() -> [IDERequest] {
    state.withLock { state in
      for request in state.waiting { state.underWay[request.position, default: 0] += 1 }
      defer { state.waiting.removeAll(keepingCapacity: true) }
      return state.waiting
    }
  }

  func end(_ request: IDERequest, _ outcome: IDEOutcome) {
    if case .failed(let failure, let at) = outcome { report(.failed(request.position, failure, at: at)) }
    state.withLock { state in
      let left = (state.underWay[request.position] ?? 1) - 1
      state.underWay[request.position] = left > 0 ? left : nil
      state.board.complete(request, outcome, &state.effects)
      carryOut(&state)
    }
    settled[request.position.index].event.signal()
  }
}

/// What the controller's owner may want to know.
enum LegacyReport: Sendable {
  case failed(IDEPosition, DriveFailure, at: UInt64?)
  case ejected(IDEPosition)
}
