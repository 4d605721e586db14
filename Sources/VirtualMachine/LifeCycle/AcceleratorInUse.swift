// SPDX-License-Identifier: Apache-2.0

/// What runs the guest's processors, and why that was chosen; for `lis vm show`.
public struct AcceleratorInUse: Sendable, Hashable {
  /// `kvm` or `software`.
  public var name: String
  public var reason: String

  public init(name: String, reason: String) {
    self.name = name
    self.reason = reason
  }
}
