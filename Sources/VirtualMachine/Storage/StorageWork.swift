// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Partition
import ServiceProviders
import VMBus
import VirtualDisks

/// What a storage channel's thread does. Lives on that thread only.
final class StorageWork {
  private var channel: StorageChannel
  private let rings: ChannelRings
  private let memory: GuestMemory
  private let owner: any StorageRunnerOwner
  private let runner: StorageRunner
  private let signal: @Sendable (VPIndex) -> Void
  private let queue: DriveQueue
  /// Commands under way, by the slot of their request.
  private var tasks: [Task?]
  private var response = SCSIResponse()
  private var isEnding = false
  private var isBroken = false
  private var mustSignal = false

  private struct Task {
    var unit: StorageUnit
    var scsi: SCSITask
  }

  init(
    channel: consuming StorageChannel, rings: ChannelRings, memory: GuestMemory, slots: Int,
    owner: any StorageRunnerOwner, runner: StorageRunner, signal: @escaping @Sendable (VPIndex) -> Void
  ) {
    tasks = Array(repeating: nil, count: slots)
    queue = DriveQueue(slots: slots, bell: runner.bell)
    self.channel = channel
    self.rings = rings
    self.memory = memory
    self.owner = owner
    self.runner = runner
    self.signal = signal
  }

  func run() {
    var mayHaveMore = true
    while !(isEnding && queue.executing == 0) {
      let wasRung = queue.step(wait: !mayHaveMore)
      if wasRung { for order in runner.takeOrders() { carryOut(order) } }
      while let finished = queue.takeFinished() { finish(finished) }
      mayHaveMore = !isEnding && !isBroken && receive()
      let wasFull = !channel.canReceive
      // What ended at once needs no further look at the queue before its answer goes out.
      while let finished = queue.takeFinished() { finish(finished) }
      if channel.takeDrained() { owner.drained(channel.index) }
      if !isBroken { deliver() }
      // What was left in the ring for want of a slot comes with no further signal.
      if wasFull, channel.canReceive { mayHaveMore = true }
      if mustSignal {
        mustSignal = false
        signal(runner.targetVP)
      }
    }
    queue.close()
  }

  // MARK: From the guest

  /// True: there may be more to read at once.
  private func receive() -> Bool {
    do throws(RingError) {
      let drained = try rings.drain(while: { channel.canReceive }) { packet, bytes in
        switch channel.receive(packet, in: bytes) {
        case .command(let request): begin(request, bytes)
        case .control(let control): owner.control(control, on: &channel)
        case .settled: break
        }
      }
      if drained.signal { mustSignal = true }
      return drained.more
    } catch {
      isBroken = true
      owner.broke(channel.index, error)
      return false
    }
  }

  private func begin(_ request: StorageRequest, _ packet: RawSpan) {
    // As many places as the channel has slots.
    guard let slot = queue.reserve() else { return channel.complete(request.id, .invalid) }
    guard collect(request, packet, slot) else {
      queue.release(slot)
      return channel.complete(request.id, .invalid)
    }
    let command = SCSICommand(
      request.command, bufferByteCount: request.byteCount,
      units: request.command.operation == .reportUnits ? owner.unitNumbers : SCSIUnitSet(rawValue: 0))
    guard let unit = request.unit.flatMap({ owner.unit($0) }) else {
      let outcome = SCSIAbsentUnit.begin(command, onTarget: request.unit != nil, into: &response)
      return complete(request.id, outcome, slot)
    }
    advance(unit.withModel { $0.begin(command, into: &response) }, unit, request.id, slot)
  }

  /// Gives the place the guest's memory. False: some of it is not memory.
  private func collect(_ request: StorageRequest, _ packet: RawSpan, _ slot: DriveQueue.Slot) -> Bool {
    guard var segments = request.segments else { return true }
    do throws(RingError) {
      while let segment = try segments.next(in: packet) {
        guard let count = Int(exactly: segment.byteCount),
          let pointer = unsafe memory.pointer(to: segment.address, count: count)
        else { return false }
        unsafe queue.append(pointer, count: count, to: slot)
      }
      return true
    } catch {
      return false
    }
  }

  /// Goes on with a command until it waits for a drive or is over. What the model answers by itself is in `response`.
  private func advance(
    _ first: SCSIStep, _ unit: StorageUnit, _ id: StorageRequestID, _ slot: DriveQueue.Slot
  ) {
    var step = first
    while true {
      switch step {
      case .complete(let outcome): return complete(id, outcome, slot)
      case .ejected(let outcome):
        owner.ejected(unit)
        return complete(id, outcome, slot)
      case .transfer(let request, let task):
        tasks[id.slot] = Task(unit: unit, scsi: task)
        return queue.start(request, on: unit.drive, token: id.rawValue, in: slot)
      case .fetch(let count, let task):
        let data = queue.copy(slot, count: count)
        step = unit.withModel { unsafe $0.resume(task, data: data.span.bytes) }
      }
    }
  }

  /// Ends a command that needed no drive, with the model's data in front.
  private func complete(_ id: StorageRequestID, _ outcome: SCSIOutcome, _ slot: DriveQueue.Slot) {
    if response.byteCount > 0, outcome.byteCount > 0 {
      queue.fill(slot, with: response.bytes.extracting(first: Int(min(outcome.byteCount, UInt32(response.byteCount)))))
    }
    queue.release(slot)
    channel.complete(id, outcome)
  }

  // MARK: From the drives

  private func finish(_ finished: DriveQueue.Finished) {
    let id = StorageRequestID(rawValue: finished.token)
    guard let task = tasks[id.slot].take() else { return }
    switch task.scsi.finish(finished.result) {
    case .complete(let outcome):
      queue.release(finished.slot)
      channel.complete(id, outcome)
    case let step:
      response = SCSIResponse()
      advance(step, task.unit, id, finished.slot)
    }
  }

  // MARK: To the guest

  private func deliver() {
    guard channel.hasAnswers else { return }
    do throws(RingError) {
      if try channel.deliver(to: &rings.writer).signal { mustSignal = true }
    } catch {
      isBroken = true
      owner.broke(channel.index, error)
    }
  }

  // MARK: From the controller

  private func carryOut(_ order: StorageRunner.Order) {
    switch order {
    case .reset(let scope):
      // What the drives have ends as it ends: the guest's pages are in use until then.
      _ = channel.beginReset(scope)
    case .answer(let id, let status): channel.answer(id, status)
    case .unitsChanged: channel.unitsChanged()
    case .end: isEnding = true
    }
  }
}
