// SPDX-License-Identifier: Apache-2.0

/// The input of the signal-event hypercall (0x5D): connection in bits 0–31 (24 are used), flag in bits 32–47, reserved
/// above. It comes in a register (fast call) or as eight bytes of guest memory, the same either way.
public struct SignalEventInput: Equatable, Sendable {
  public static let callCode: UInt16 = 0x5D
  public static let wireSize = 8

  public var connection: ConnectionID
  /// Linux always says 0.
  public var flag: UInt16

  @inlinable public init(connection: ConnectionID, flag: UInt16 = 0) {
    self.connection = connection
    self.flag = flag
  }

  @inlinable public init(rawValue: UInt64) {
    connection = ConnectionID(UInt32(truncatingIfNeeded: rawValue))
    flag = UInt16(truncatingIfNeeded: rawValue >> 32)
  }

  @inlinable public var rawValue: UInt64 { UInt64(connection.rawValue) | UInt64(flag) << 32 }
}
