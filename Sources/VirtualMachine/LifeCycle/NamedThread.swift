// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Partition

/// A thread of our own: it may block, which nothing on Swift's cooperative pool may. Its starter joins it.
enum NamedThread {
  private final class Body {
    let name: String
    let run: @Sendable () -> Void
    init(name: String, run: @escaping @Sendable () -> Void) {
      self.name = name
      self.run = run
    }
  }

  /// `name`: at most 15 bytes, for `ps -L` and debuggers.
  static func start(_ name: String, _ run: @escaping @Sendable () -> Void) throws(PartitionError) -> pthread_t {
    var thread = pthread_t()
    let body = unsafe Unmanaged.passRetained(Body(name: name, run: run))
    let result = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let body = unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
        unsafe clinux_thread_enter(body.name)
        body.run()
        return nil
      }, body.toOpaque())
    guard result == 0 else {
      unsafe body.release()
      throw .system(operation: "starting the thread \(name)", errno: result)
    }
    return thread
  }

  static func join(_ thread: pthread_t) { _ = pthread_join(thread, nil) }
}
