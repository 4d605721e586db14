// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What the guest is to make of a time message.
public struct TimeFlags: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Set the clock now.
  @inlinable public static var synchronize: Self { Self(rawValue: 1) }
  /// One more sample of the host's time: Linux only feeds its PTP clock with it.
  @inlinable public static var sample: Self { Self(rawValue: 2) }

  @inlinable public func contains(_ other: Self) -> Bool { rawValue & other.rawValue == other.rawValue }
}

/// A time message of version 4: the host's time and the partition's reference time at which it held.
///
/// Layout: `ictimesync_ref_data` in include/linux/hyperv.h of Linux 6.1.
public struct ReferenceTimeMessage: Hashable, Sendable {
  public static let bodySize = 22
  /// 100 ns units since 1601-01-01 UTC. Offset 0 of the body.
  public var hostTime: UInt64
  /// 100 ns units, the clock of TIME_REF_COUNT. Offset 8.
  public var referenceTime: UInt64
  /// Offset 16.
  public var flags: TimeFlags
  /// Leap-second indicator and stratum as in NTP. Offsets 17 and 18; three reserved bytes follow.
  public var leap: UInt8
  public var stratum: UInt8

  public init(hostTime: UInt64, referenceTime: UInt64, flags: TimeFlags, leap: UInt8 = 0, stratum: UInt8 = 1) {
    self.hostTime = hostTime
    self.referenceTime = referenceTime
    self.flags = flags
    self.leap = leap
    self.stratum = stratum
  }

  public init(decoding body: RawSpan) throws(WireError) {
    guard body.byteCount >= Self.bodySize else {
      throw .truncated(needed: Self.bodySize, available: body.byteCount)
    }
    hostTime = try body.read(UInt64.self, at: 0)
    referenceTime = try body.read(UInt64.self, at: 8)
    flags = TimeFlags(rawValue: try body.read(UInt8.self, at: 16))
    leap = try body.read(UInt8.self, at: 17)
    stratum = try body.read(UInt8.self, at: 18)
  }

  @_lifetime(body: copy body)
  public func encode(into body: inout MutableRawSpan) throws(WireError) {
    try body.write(hostTime, at: 0)
    try body.write(referenceTime, at: 8)
    try body.write(flags.rawValue, at: 16)
    try body.write(leap, at: 17)
    try body.write(stratum, at: 18)
    try body.write(UInt8(0), at: 19)
    try body.write(UInt16(0), at: 20)
  }
}

/// A time message of versions 1 to 3: the host's time only.
///
/// Layout: `ictimesync_data` in include/linux/hyperv.h of Linux 6.1.
public struct TimeMessage: Hashable, Sendable {
  public static let bodySize = 25
  /// 100 ns units since 1601-01-01 UTC. Offset 0 of the body.
  public var hostTime: UInt64
  /// Filled in by a guest that measures round trips; Linux does not. Offset 8.
  public var guestTime: UInt64
  /// 100 ns units. Offset 16.
  public var roundTrip: UInt64
  /// Offset 24.
  public var flags: TimeFlags

  public init(hostTime: UInt64, guestTime: UInt64 = 0, roundTrip: UInt64 = 0, flags: TimeFlags) {
    self.hostTime = hostTime
    self.guestTime = guestTime
    self.roundTrip = roundTrip
    self.flags = flags
  }

  public init(decoding body: RawSpan) throws(WireError) {
    guard body.byteCount >= Self.bodySize else {
      throw .truncated(needed: Self.bodySize, available: body.byteCount)
    }
    hostTime = try body.read(UInt64.self, at: 0)
    guestTime = try body.read(UInt64.self, at: 8)
    roundTrip = try body.read(UInt64.self, at: 16)
    flags = TimeFlags(rawValue: try body.read(UInt8.self, at: 24))
  }

  @_lifetime(body: copy body)
  public func encode(into body: inout MutableRawSpan) throws(WireError) {
    try body.write(hostTime, at: 0)
    try body.write(guestTime, at: 8)
    try body.write(roundTrip, at: 16)
    try body.write(flags.rawValue, at: 24)
  }
}
