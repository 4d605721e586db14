// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
public import Partition
import Synchronization

/// SIGINT, SIGTERM and SIGHUP, handed to a closure on a thread of its own. The newest watch gets them; when it ends, the
/// one before it does; after the last one the dispositions from before the first are back.
public final class SignalWatch: Sendable {
  private let readEnd: Int32
  private let writeEnd: Int32
  private let thread: Mutex<DedicatedThread?>

  public init(_ handle: @escaping @Sendable (Int32) -> Void) throws(PartitionError) {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { throw .system(operation: "making a pipe for signals", errno: errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    // A handler must never wait: a full pipe means that enough signals wait already.
    _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
    let (read, write) = (ends[0], ends[1])
    (readEnd, writeEnd) = (read, write)
    do throws(PartitionError) {
      thread = Mutex(
        try DedicatedThread.forPartition(name: "signals") {
          var byte: UInt8 = 0
          while true {
            let count = unsafe Glibc.read(read, &byte, 1)
            if count < 0, errno == EINTR { continue }
            // 0 is no signal: the end.
            guard count == 1, byte != 0 else { return }
            handle(Int32(byte))
          }
        })
    } catch {
      close(read)
      close(write)
      throw error
    }
    clinux_catch_signals(write)
  }

  /// Ends the watch. Not from its own closure.
  public func end() {
    guard let thread = thread.withLock({ $0.take() }) else { return }
    clinux_restore_signals(writeEnd)
    var byte: UInt8 = 0
    _ = unsafe write(writeEnd, &byte, 1)
    thread.join()
    close(readEnd)
    close(writeEnd)
  }

  deinit { end() }
}
