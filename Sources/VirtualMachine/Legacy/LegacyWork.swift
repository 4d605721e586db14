// SPDX-License-Identifier: Apache-2.0

import LegacyDevices
import Partition
import VirtualDisks

/// What the IDE controller's thread does: takes requests, gives them to the drives, reports how they ended. Lives on that
/// thread only.
final class LegacyWork {
  private let storage: LegacyStorage
  private let memory: GuestMemory
  private let queue: DriveQueue
  private var requests: [Pending?]

  @safe private struct Pending {
    var request: IDERequest
    /// For what goes through the data register.
    var room: UnsafeMutableRawBufferPointer?
    var tableHasMore = false
  }

  /// As many as there are drives: each has one request at a time.
  private static let slots = IDEPosition.allCases.count

  init(_ storage: LegacyStorage, memory: GuestMemory) {
    self.storage = storage
    self.memory = memory
    queue = DriveQueue(slots: Self.slots, bell: storage.bell)
    requests = Array(repeating: nil, count: Self.slots)
  }

  func run() {
    while !(storage.isStopping && queue.executing == 0) {
      _ = queue.step(wait: true)
      for request in storage.takeWaiting() { begin(request) }
      while let finished = queue.takeFinished() { finish(finished) }
    }
    queue.close()
  }

  private func begin(_ request: IDERequest) {
    guard let drive = storage.drives[request.position], let slot = queue.reserve() else {
      return storage.end(request, .failed(.mediumAbsent))
    }
    var pending = unsafe Pending(request: request)
    do throws(DescriptorTable.Fault) {
      let order: DriveRequest
      switch request.work {
      case .drive(let asked): order = asked
      case .read(let asked):
        order = asked
        unsafe pending.room = unsafe makeRoom(Int(asked.byteCount), slot)
      case .write(let asked, let bytes):
        order = asked
        unsafe pending.room = unsafe makeRoom(bytes.count, slot)
        unsafe pending.room?.copyBytes(from: bytes)
      case .direct(let asked, let table):
        order = asked
        pending.tableHasMore = try collect(table, Int(asked.byteCount), slot)
      case .toGuest(let bytes, let table):
        let hasMore = try collect(table, bytes.count, slot)
        unsafe queue.fill(slot, with: bytes.span.bytes)
        queue.release(slot)
        return storage.end(request, .done(tableHasMore: hasMore))
      case .fromGuest(let count, let table):
        let hasMore = try collect(table, count, slot)
        let bytes = queue.copy(slot, count: count)
        queue.release(slot)
        return storage.end(request, .done(bytes, tableHasMore: hasMore))
      }
      requests[slot] = pending
      queue.start(order, on: drive, token: request.number, in: slot)
    } catch {
      queue.release(slot)
      storage.end(request, .table(error))
    }
  }

  private func makeRoom(_ count: Int, _ slot: DriveQueue.Slot) -> UnsafeMutableRawBufferPointer {
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
    if let base = room.baseAddress { unsafe queue.append(base, count: count, to: slot) }
    return unsafe room
  }

  /// Gives the place the guest memory that the table describes; whether it describes more.
  private func collect(
    _ table: UInt32, _ byteCount: Int, _ slot: DriveQueue.Slot
  ) throws(DescriptorTable.Fault) -> Bool {
    let (segments, hasMore) = try DescriptorTable.walk(at: table, byteCount: byteCount) { address in
      guard let bytes = try? memory.read(address, count: 8) else { return nil }
      return bytes.enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << UInt64($1.offset * 8) }
    } isMemory: { address, count in
      unsafe memory.pointer(to: address, count: count) != nil
    }
    for segment in segments {
      guard let start = unsafe memory.pointer(to: segment.address, count: segment.byteCount) else {
        throw .outsideMemory
      }
      unsafe queue.append(start, count: segment.byteCount, to: slot)
    }
    return hasMore
  }

  private func finish(_ finished: DriveQueue.Finished) {
    guard let pending = requests[finished.slot].take() else { return }
    var bytes: [UInt8] = []
    if case .read = pending.request.work, case .success = finished.result, let room = unsafe pending.room {
      bytes = unsafe Array(room)
    }
    queue.release(finished.slot)
    unsafe pending.room?.deallocate()
    switch finished.result {
    case .success: storage.end(pending.request, .done(bytes, tableHasMore: pending.tableHasMore))
    case .failure(.badBuffer, _): storage.end(pending.request, .table(.outsideMemory))
    case .failure(let failure, let at): storage.end(pending.request, .failed(failure, at: at))
    }
  }
}
