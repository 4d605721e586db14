// SPDX-License-Identifier: Apache-2.0

import CKernel
import VMBus

/// One line of the kernel's log, put together in a buffer of fixed size: the kernel has no strings for us. What doesn't
/// fit is cut. The name of the module is put before it.
public struct LogLine {
  /// As the kernel counts them.
  public struct Level: Sendable {
    @usableFromInline let rawValue: Int32
    @usableFromInline init(_ rawValue: Int32) { self.rawValue = rawValue }

    public static var error: Level { Level(3) }
    public static var warning: Level { Level(4) }
    public static var information: Level { Level(6) }
    public static var debug: Level { Level(7) }
  }

  @usableFromInline static var capacity: Int { 160 }

  private var bytes = InlineArray<160, UInt8>(repeating: 0)
  private var count = 0

  public init() {}

  public init(_ text: StaticString) { self.text(text) }

  @inline(never)
  public mutating func text(_ text: StaticString) {
    let start = unsafe text.utf8Start
    for index in 0..<text.utf8CodeUnitCount { byte(unsafe start[index]) }
  }

  @inline(never)
  public mutating func byte(_ byte: UInt8) {
    guard count < Self.capacity else { return }
    bytes[count] = byte
    count &+= 1
  }

  @inline(never)
  public mutating func decimal(_ value: UInt64) {
    var divisor: UInt64 = 1
    while value / divisor >= 10 { divisor = divisor &* 10 }
    while divisor > 0 {
      byte(0x30 &+ UInt8(truncatingIfNeeded: value / divisor % 10))
      divisor /= 10
    }
  }

  public mutating func decimal(_ value: UInt32) { decimal(UInt64(value)) }

  public mutating func decimal(_ value: Int) {
    if value < 0 { byte(0x2D) }
    decimal(UInt64(value.magnitude))
  }

  /// Without a prefix, at least `digits` digits.
  @inline(never)
  public mutating func hex(_ value: UInt64, digits: Int = 1) {
    var started = false
    var place = 15
    while place >= 0 {
      let digit = UInt8(truncatingIfNeeded: value >> UInt64(truncatingIfNeeded: place &* 4)) & 15
      if digit != 0 || place < digits { started = true }
      if started { byte(digit < 10 ? 0x30 &+ digit : 0x57 &+ digit) }
      place &-= 1
    }
  }

  /// As it is written: the first three fields are little-endian in memory, the last eight bytes in order.
  @inline(never)
  public mutating func guid(_ guid: GUID) {
    hex(guid.low & 0xFFFF_FFFF, digits: 8)
    byte(0x2D)
    hex(guid.low >> 32 & 0xFFFF, digits: 4)
    byte(0x2D)
    hex(guid.low >> 48, digits: 4)
    byte(0x2D)
    let tail = guid.high.byteSwapped
    hex(tail >> 48, digits: 4)
    byte(0x2D)
    hex(tail & 0xFFFF_FFFF_FFFF, digits: 12)
  }

  public mutating func version(_ version: ProtocolVersion) {
    decimal(UInt64(version.major))
    byte(0x2E)
    decimal(UInt64(version.minor))
  }

  @inline(never)
  public func emit(_ level: Level = .information) {
    unsafe bytes.span.withUnsafeBufferPointer { unsafe ks_log(level.rawValue, $0.baseAddress, count) }
  }

  /// For what the host can cause as often as it wants: a storm of lines is cut to ten in five seconds.
  @inline(never)
  public func emitLimited(_ level: Level = .warning) {
    unsafe bytes.span.withUnsafeBufferPointer { unsafe ks_log_limited(level.rawValue, $0.baseAddress, count) }
  }
}

/// A line that is known beforehand.
public func log(_ text: StaticString, _ level: LogLine.Level = .information) {
  unsafe ks_log(level.rawValue, text.utf8Start, text.utf8CodeUnitCount)
}

public func logLimited(_ text: StaticString, _ level: LogLine.Level = .warning) {
  unsafe ks_log_limited(level.rawValue, text.utf8Start, text.utf8CodeUnitCount)
}
