// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import HostSystem
import Synchronization
import VirtualDisks

/// The inner end of the file link: requests go out, callers sleep until their answers come. Any thread.
///
/// When the outer end goes, or writes what cannot be, all that wait and all that come later get `ENOTCONN`.
final class FileLink: Sendable {
  private struct State {
    var free = (0..<UInt16(DataWindow.slotCount)).reversed() as [UInt16]
    /// By slot: whether an answer is awaited, and the answer.
    var isAwaited = [Bool](repeating: false, count: DataWindow.slotCount)
    var answers = [FileAnswer.Content?](repeating: nil, count: DataWindow.slotCount)
    var isDead = false
  }

  static let gone = StoreError.Reason.system(errno: ENOTCONN)

  let window: DataWindow
  private let port: Descriptor
  private let state = Mutex(State())
  private let sending = Mutex(())
  private let freeSlots = DispatchSemaphore(value: DataWindow.slotCount)
  private let answered = (0..<DataWindow.slotCount).map { _ in DispatchSemaphore(value: 0) }
  private let reader = WorkerPool(name: "images", limit: 1)

  /// `port`: a byte stream to the outer end's `FileServer`, blocking.
  init(port: consuming Descriptor, window: DataWindow) {
    self.port = port
    self.window = window
    reader.run { [self] in receive() }
  }

  /// Ends the link of a socket; nobody uses it any more. (The real one lives as long as the machine.)
  func stop() {
    shutdown(port.number, Int32(SHUT_RDWR))
    reader.finish()
  }

  // MARK: - Slots

  /// A slot for one request at a time; waits for one.
  func takeSlot() -> UInt16 {
    freeSlots.wait()
    return state.withLock { $0.free.removeLast() }
  }

  /// A slot if one is free now.
  func takeFreeSlot() -> UInt16? {
    guard freeSlots.wait(timeout: .now()) == .success else { return nil }
    return state.withLock { $0.free.removeLast() }
  }

  func giveBack(_ slot: UInt16) {
    state.withLock { $0.free.append(slot) }
    freeSlots.signal()
  }

  // MARK: - Requests

  /// Sends requests, one per slot that the caller holds. Every one of them must be waited for.
  func send(_ requests: [FileRequest]) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(requests.count * FileRequest.wireSize)
    for request in requests { request.encode(into: &bytes) }
    let isDead = state.withLock { state in
      for request in requests {
        state.answers[Int(request.slot)] = nil
        state.isAwaited[Int(request.slot)] = !state.isDead
      }
      return state.isDead
    }
    if isDead { return }
    let sent = sending.withLock { _ in (try? Stream.writeAll(port.number, bytes)) != nil }
    if !sent { die() }
  }

  /// The answer to what was sent in this slot; nil: the outer end has gone.
  func wait(for slot: UInt16) -> FileAnswer.Content? {
    let isAwaited = state.withLock { $0.isAwaited[Int(slot)] || $0.answers[Int(slot)] != nil }
    // Never sent, or ended already: nobody will signal.
    guard isAwaited else { return nil }
    answered[Int(slot)].wait()
    return state.withLock { state in
      defer { state.answers[Int(slot)] = nil }
      return state.answers[Int(slot)]
    }
  }

  // MARK: - Answers

  private func receive() {
    var bytes: [UInt8] = []
    while Stream.readMore(port.number, into: &bytes, limit: 4096) {
      var rest = bytes[...]
      do throws(FileLinkError) {
        while let answer = try FileAnswer(takingFrom: &rest) { try deliver(answer) }
      } catch {
        break
      }
      bytes = Array(rest)
    }
    die()
  }

  private func deliver(_ answer: FileAnswer) throws(FileLinkError) {
    let slot = Int(answer.slot)
    let isExpected = state.withLock { state in
      guard state.isAwaited[slot] else { return false }
      state.isAwaited[slot] = false
      state.answers[slot] = answer.content
      return true
    }
    guard isExpected else { throw .slotMisused(answer.slot) }
    answered[slot].signal()
  }

  private func die() {
    let waiting = state.withLock { state in
      state.isDead = true
      let waiting = state.isAwaited.indices.filter { state.isAwaited[$0] }
      for slot in waiting { state.isAwaited[slot] = false }
      return waiting
    }
    for slot in waiting { answered[slot].signal() }
  }
}
