// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// The inner half: this program as the init of the software machine's Linux.
///
/// Process 1 serves the link to the outer program. It starts the same program once more as the worker, which warms up,
/// waits for its orders (here the state is saved), and runs the partition. So a crash of the worker still brings its last
/// words and its signal out, and signals reach it as they reach any process.
public enum InnerMachine {
  /// In the environment of process 1 (from the kernel's command line) and of the worker. Arguments would not do: Swift
  /// reads them from /proc, which process 1 has yet to mount.
  static let variable = "LIS_INNER_MACHINE"

  /// Where the inner program serves its control API; clients of the outer socket are connected to it.
  public static let controlSocket = "/run/lis/control.sock"

  /// The outer machine's image files: those that its user named.
  public static let images = RemoteStoreOpener { () throws(SystemError) in try InnerImages.connect() }

  /// Whether this process belongs into a software machine: check it first in `main`, before arguments are parsed.
  public static var isThisProcess: Bool {
    unsafe getenv(variable) != nil && (getpid() == 1 || getppid() == 1)
  }

  /// Never returns. `warm` runs before the state is saved (touch code and data that a run needs; leave nothing open that
  /// must not outlive a restore); `run` after it: standard input, output and error are the outer ones, signals sent to
  /// the outer process arrive here, the returned value is the outer exit code.
  public static func main(
    warm: @Sendable () async -> Void, run: @Sendable (InnerOrders) async -> Int32
  ) async -> Never {
    if getpid() == 1 {
      do {
        try InnerInit.start()
      } catch {
        InnerInit.fail("\(error)")
      }
    }
    await warm()
    // EX_SOFTWARE where process 1 is gone or talks nonsense.
    guard let orders = Worker.waitForOrders() else { exit(70) }
    let code = await run(orders)
    ends(with: code)
    exit(code)
  }

  /// For the worker, before it gives back what takes long (a guest's memory, which the inner Linux clears): its exit code is
  /// this, all it has to say is said, all it keeps elsewhere is written. The whole machine may be gone when this returns.
  public static func ends(with code: Int32) {
    _ = fflush(nil)
    Worker.tellEnd(code)
  }
}
