// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What runs the guest's processors, and why that was chosen; for `lis vm show`.
public struct AcceleratorInUse: Sendable, Hashable {
  /// `kvm` or `software`.
  public var name: String
  public var reason: String
  /// The process that a person sees: on the software machine the outer one.
  public var processID: Int32

  public init(name: String, reason: String, processID: Int32 = getpid()) {
    self.name = name
    self.reason = reason
    self.processID = processID
  }
}
