// SPDX-License-Identifier: Apache-2.0

/// How a command ended: what the device model says, what goes into the answer.
public struct SCSIOutcome: Hashable, Sendable {
  public var status: SCSIStatus
  /// With CHECK CONDITION only.
  public var sense: SenseData?
  /// Bytes of data that were really moved, in either direction.
  public var byteCount: UInt32
  /// How the adapter ended it, where that is not to be told from `status`.
  public var adapter: Adapter

  public enum Adapter: Hashable, Sendable {
    /// The device answered: its status says how.
    case answered
    /// There is no such unit.
    case noUnit
    /// The request was given up, after the back end let go of the guest's pages.
    case aborted
    /// The request is malformed, in a way that is the adapter's business.
    case invalid
  }

  @inlinable
  public init(status: SCSIStatus, sense: SenseData? = nil, byteCount: UInt32 = 0, adapter: Adapter = .answered) {
    self.status = status
    self.sense = sense
    self.byteCount = byteCount
    self.adapter = adapter
  }

  @inlinable public static func good(byteCount: UInt32 = 0) -> Self { Self(status: .good, byteCount: byteCount) }

  @inlinable
  public static func check(_ key: SenseKey, _ additional: AdditionalSense, information: UInt64? = nil) -> Self {
    Self(status: .checkCondition, sense: SenseData(key, additional, information: information))
  }

  @inlinable public static var noUnit: Self { Self(status: .good, adapter: .noUnit) }
  @inlinable public static var aborted: Self { Self(status: .good, adapter: .aborted) }
  @inlinable public static var invalid: Self { Self(status: .good, adapter: .invalid) }
}
