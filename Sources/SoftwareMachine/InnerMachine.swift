// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What the inner program is asked to run.
public struct InnerOrders: Sendable {
  /// A device that holds one of the outer machine's files.
  public struct File: Sendable, Equatable {
    /// The block device.
    public let path: String
    /// The file's exact length; the device is padded to whole sectors.
    public let byteCount: UInt64
  }
  /// `SoftwareMachine.Configuration.orders`, unchanged.
  public let configuration: [UInt8]
  /// The files, in the outer order.
  public let files: [File]
}

/// The inner half: this program as the init of the software machine's Linux.
public enum InnerMachine {
  /// The argument that the kernel gives its init.
  static let argument = "--inner-machine"

  /// Where the inner program serves its control API; clients of the outer socket are connected to it.
  public static let controlSocket = "/run/lis/control.sock"

  /// Whether this process is the init of a software machine: check it first in `main`, before arguments are parsed.
  public static var isThisProcess: Bool {
    getpid() == 1 && CommandLine.arguments.count >= 2 && CommandLine.arguments[1] == argument
  }

  /// Never returns. `warm` runs before the state is saved (open /dev/kvm, touch code; leave nothing open that must not
  /// outlive a restore); `run` after, in a process of its own: standard input, output and error are the outer ones,
  /// signals sent to the outer process arrive here, the returned value is the outer exit code.
  public static func main(
    warm: () async -> Void, run: (InnerOrders) async -> Int32
  ) async -> Never {
    exit(70)
  }
}
