// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Partition
import Synchronization

/// The descriptors that the guest's serial console is connected to while `lis run` is in the foreground.
public struct ConsoleStreams: Sendable {
  /// Read until its end; nil: nobody types.
  public var input: Int32?
  /// Gets what the guest prints; nil: only the control API's clients see it.
  public var output: Int32?

  public init(input: Int32? = nil, output: Int32? = nil) {
    self.input = input
    self.output = output
  }
}

extension ConsoleStreams {
  /// What to say when the guest's console can no longer be written; nothing to a reader that has gone by itself.
  public static func lossNotice(_ error: Int32) -> String? {
    guard error != EPIPE, error != EIO else { return nil }
    return
      "the serial console cannot be written: \(SystemError.message(error)); the machine goes on, what it prints is lost"
  }
}

/// Writes what the guest prints to a descriptor. A reader that is gone (closed pipe, full disk) ends the writing, not
/// the machine.
final class DescriptorSink: SerialSink {
  private let descriptor: Int32
  private let broken = Atomic(false)
  /// Called once, with the error's number, when the writing ends.
  private let lost: @Sendable (Int32) -> Void

  init(_ descriptor: Int32, lost: @escaping @Sendable (Int32) -> Void = { _ in }) {
    self.descriptor = descriptor
    self.lost = lost
  }

  func serialOutput(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress, !broken.load(ordering: .relaxed) else { return }
    var done = 0
    while done < bytes.count {
      let written = unsafe write(descriptor, base + done, bytes.count - done)
      if written > 0 {
        done += written
      } else if errno == EAGAIN {
        // A terminal that other programs set to non-blocking: wait for room.
        var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = unsafe Glibc.poll(&poll, 1, 1000)
      } else if errno != EINTR {
        broken.store(true, ordering: .relaxed)
        lost(errno)
        return
      }
    }
  }
}

/// The thread that reads what a person types.
final class ConsoleReader: Sendable {
  private let wake: EventDescriptor
  private let thread: Mutex<DedicatedThread?>

  /// `type` gets bytes as they come, on the reader's thread.
  init(_ input: Int32, type: @escaping @Sendable ([UInt8]) -> Void) throws(PartitionError) {
    wake = try EventDescriptor.forPartition()
    let stop = wake.number
    thread = Mutex(
      try DedicatedThread.forPartition(name: "console") {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
          var polled = [
            pollfd(fd: input, events: Int16(POLLIN), revents: 0), pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
          ]
          guard unsafe poll(&polled, 2, -1) >= 0 || errno == EINTR else { return }
          if polled[1].revents != 0 { return }
          guard polled[0].revents != 0 else { continue }
          let count = unsafe read(input, &buffer, buffer.count)
          if count < 0, errno == EINTR || errno == EAGAIN { continue }
          guard count > 0 else { return }
          type(Array(buffer[..<count]))
        }
      })
  }

  func stop() {
    guard let handle = thread.withLock({ $0.take() }) else { return }
    wake.signal()
    handle.join()
  }

  deinit { stop() }
}
