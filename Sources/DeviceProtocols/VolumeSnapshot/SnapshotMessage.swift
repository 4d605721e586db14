// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What a volume snapshot message asks for. Names after `hv_vss_op` in include/uapi/linux/hyperv.h of Linux 6.1.
public struct SnapshotOperation: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  @inlinable public static var create: Self { Self(rawValue: 0) }
  @inlinable public static var delete: Self { Self(rawValue: 1) }
  /// Can this guest be backed up while it runs? Answered with flags.
  @inlinable public static var hotBackup: Self { Self(rawValue: 2) }
  @inlinable public static var getDriverInfo: Self { Self(rawValue: 3) }
  @inlinable public static var backupComplete: Self { Self(rawValue: 4) }
  @inlinable public static var freeze: Self { Self(rawValue: 5) }
  @inlinable public static var thaw: Self { Self(rawValue: 6) }
  @inlinable public static var autoRecover: Self { Self(rawValue: 7) }
}

/// The body of a volume snapshot message: operation u8, seven reserved bytes, flags u32.
///
/// Layout: `hv_vss_msg` in include/uapi/linux/hyperv.h of Linux 6.1, which drops anything shorter.
public struct SnapshotMessage: Hashable, Sendable {
  public static let bodySize = 12
  public static let flagsOffset = 8
  /// The answer of Linux to `hotBackup`: can be backed up (1), needs no auto recovery (4).
  public static let supportedWithoutAutoRecovery: UInt32 = 5

  /// Offset 0 of the body.
  public var operation: SnapshotOperation
  /// Offset 8.
  public var flags: UInt32

  public init(operation: SnapshotOperation, flags: UInt32 = 0) {
    self.operation = operation
    self.flags = flags
  }

  public init(decoding body: RawSpan) throws(WireError) {
    guard body.byteCount >= Self.bodySize else {
      throw .truncated(needed: Self.bodySize, available: body.byteCount)
    }
    operation = SnapshotOperation(rawValue: try body.read(UInt8.self, at: 0))
    flags = try body.read(UInt32.self, at: Self.flagsOffset)
  }

  @_lifetime(body: copy body)
  public func encode(into body: inout MutableRawSpan) throws(WireError) {
    try body.write(UInt64(operation.rawValue), at: 0)
    try body.write(flags, at: Self.flagsOffset)
  }
}
