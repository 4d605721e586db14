// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization

/// Frames over one stream of bytes, a socket or a character device: each behind its length (`StreamFrames`). What a driver
/// of such a stream has in common with the others.
final class FrameStream: Sendable {
  /// For messages.
  private let peer: String
  private let table = DescriptorTable()
  /// What the stream did not take of a frame that it took in part: it must follow before anything else.
  private let pending = Mutex<[UInt8]>([])
  private let isPending = Atomic(false)
  /// Tells the runner to wait for room.
  private let wake = Mutex<(@Sendable () -> Void)?>(nil)

  init(peer: String) { self.peer = peer }

  func whenPending(_ wake: @escaping @Sendable () -> Void) { self.wake.withLock { $0 = wake } }

  /// Takes over a descriptor that does not block.
  func open(_ descriptor: Int32) { table.open([descriptor]) }

  func close() {
    table.close()
    pending.withLock { $0 = [] }
    isPending.store(false, ordering: .relaxed)
  }

  func receive(
    into room: UnsafeMutableRawBufferPointer, carried: inout Int, _ take: (FrameView) -> Void
  ) -> ReceiveOutcome {
    let got = table.with(queue: 0) { descriptor in
      unsafe clinux_receive(descriptor, room.baseAddress.map { unsafe $0 + carried }, room.count - carried)
    }
    guard let got else { return .gone("closed") }
    if got == -Int(EAGAIN) || got == -Int(EINTR) { return .empty }
    guard got > 0 else { return .gone(got == 0 ? "\(peer) has ended" : SystemError.message(Int32(-got))) }
    carried += got
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: room[..<carried])
    guard let used = unsafe StreamFrames.take(bytes, take) else {
      return .gone("\(peer) sent a frame that is too long")
    }
    carried -= used
    if used > 0, carried > 0, let base = room.baseAddress { unsafe memmove(base, base + used, carried) }
    return .more
  }

  func transmit(_ frame: FrameView) -> Bool {
    pending.withLock { pending in
      guard pending.isEmpty || push(&pending) else { return false }
      let length = UInt32(frame.byteCount).bigEndian
      let total = frame.byteCount + 4
      return unsafe withUnsafeBytes(of: length) { length in
        unsafe frame.prefixed(length) { pieces in
          let sent = table.with(queue: 0) { descriptor in
            unsafe clinux_send(descriptor, pieces.baseAddress, Int32(pieces.count))
          }
          guard let sent, sent > 0 else { return false }
          guard sent < total else { return true }
          pending = unsafe [UInt8](unsafeUninitializedCapacity: total) { room, count in
            count = unsafe FrameView(pieces: pieces, byteCount: total).copy(to: UnsafeMutableRawBufferPointer(room))
          }
          pending.removeFirst(sent)
          isPending.store(true, ordering: .releasing)
          wake.withLock { $0 }?()
          return true
        }
      }
    }
  }

  var hasPending: Bool { isPending.load(ordering: .acquiring) }
  func writeOn() { pending.withLock { _ = push(&$0) } }

  /// True: nothing waits any more.
  private func push(_ pending: inout [UInt8]) -> Bool {
    let outcome = table.with(queue: 0) { Stream.write($0, pending[...]) }
    if case .bytes(let count) = outcome { pending.removeFirst(count) }
    if pending.isEmpty { isPending.store(false, ordering: .releasing) }
    return pending.isEmpty
  }
}
