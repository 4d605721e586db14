// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The head of a shutdown request's body. A display message of 2048 bytes (UTF-16) follows; Linux ignores a request that
/// is shorter than the whole 2060 bytes.
///
/// Layout: `shutdown_msg_data` in include/linux/hyperv.h of Linux 6.1. The same in versions 1.0 to 3.2.
public struct ShutdownMessage: Hashable, Sendable {
  public static let bodySize = 2060
  public static let textOffset = 12
  /// Bytes of the display message, terminator included.
  public static let textSize = 2048

  /// Offset 0 of the body.
  public var reason: ShutdownReason
  /// How long the guest has, in seconds. Offset 4. Linux ignores it.
  public var timeoutSeconds: UInt32
  /// Offset 8.
  public var flags: ShutdownFlags

  public init(reason: ShutdownReason, timeoutSeconds: UInt32, flags: ShutdownFlags) {
    self.reason = reason
    self.timeoutSeconds = timeoutSeconds
    self.flags = flags
  }

  public init(decoding body: RawSpan) throws(WireError) {
    guard body.byteCount >= Self.bodySize else {
      throw .truncated(needed: Self.bodySize, available: body.byteCount)
    }
    reason = ShutdownReason(rawValue: try body.read(UInt32.self, at: 0))
    timeoutSeconds = try body.read(UInt32.self, at: 4)
    flags = ShutdownFlags(rawValue: try body.read(UInt32.self, at: 8))
  }

  /// Writes the head; the display message's bytes are left as they are.
  @_lifetime(body: copy body)
  public func encode(into body: inout MutableRawSpan) throws(WireError) {
    try body.write(reason.rawValue, at: 0)
    try body.write(timeoutSeconds, at: 4)
    try body.write(flags.rawValue, at: 8)
  }
}

/// What the guest is to do: 0 power off, 2 restart, 4 hibernate; plus 1 to do it by force.
public struct ShutdownFlags: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  @inlinable public static var powerOff: Self { Self(rawValue: 0) }
  @inlinable public static var restart: Self { Self(rawValue: 2) }
  @inlinable public static var hibernate: Self { Self(rawValue: 4) }
  @inlinable public static var force: UInt32 { 1 }

  @inlinable public var isForced: Bool { rawValue & Self.force != 0 }
  /// The same request by force.
  @inlinable public var forced: Self { Self(rawValue: rawValue | Self.force) }
  /// The same request without the force bit.
  @inlinable public var action: Self { Self(rawValue: rawValue & ~Self.force) }
}

/// Why: a Windows shutdown reason code.
public struct ShutdownReason: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// SHTDN_REASON_FLAG_PLANNED.
  @inlinable public static var planned: Self { Self(rawValue: 0x8000_0000) }
}
