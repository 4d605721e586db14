// SPDX-License-Identifier: Apache-2.0

/// One PCI function's 256 bytes of configuration: what it says of itself, and which bits a guest may change.
public struct PCIConfigurationSpace: Equatable, Sendable {
  public static let byteCount = 256
  /// Bits of the command register.
  public static let decodesPorts: UInt16 = 1 << 0
  public static let decodesMemory: UInt16 = 1 << 1
  public static let mastersBus: UInt16 = 1 << 2

  private var bytes = [UInt8](repeating: 0, count: byteCount)
  private var writable = [UInt8](repeating: 0, count: byteCount)

  /// `classCode`: base class, sub-class, programming interface in 24 bits.
  public init(vendor: UInt16, device: UInt16, classCode: UInt32, revision: UInt8 = 0) {
    set(vendor, at: 0x00)
    set(device, at: 0x02)
    set(UInt32(revision) | classCode << 8, at: 0x08)
  }

  // MARK: for the function's owner

  public mutating func set<T: FixedWidthInteger>(_ value: T, at offset: Int) {
    for index in 0..<MemoryLayout<T>.size where Self.contains(offset + index) {
      bytes[offset + index] = UInt8(truncatingIfNeeded: value >> T(index * 8))
    }
  }

  /// Lets a guest change the bits of `mask`.
  public mutating func allow<T: FixedWidthInteger>(_ mask: T, at offset: Int) {
    for index in 0..<MemoryLayout<T>.size where Self.contains(offset + index) {
      writable[offset + index] = UInt8(truncatingIfNeeded: mask >> T(index * 8))
    }
  }

  /// Base address register `number` (0…5) for `count` I/O ports, a power of two from 4 on.
  public mutating func addPorts(bar number: Int, count: UInt16, base: UInt16) {
    set(UInt32(base & ~(count &- 1)) | 1, at: 0x10 + number * 4)
    allow(0xFFFF & ~UInt32(count &- 1), at: 0x10 + number * 4)
  }

  /// Base address register `number` (0…5) for `byteCount` bytes of memory below 4 GiB, a power of two from 16 on.
  public mutating func addMemory(bar number: Int, byteCount: UInt32, base: UInt32) {
    set(base & ~(byteCount &- 1), at: 0x10 + number * 4)
    allow(~(byteCount &- 1), at: 0x10 + number * 4)
  }

  public var command: UInt16 { UInt16(truncatingIfNeeded: read(0x04, size: 2)) }

  /// The first port behind a base address register, nil while the function does not decode ports.
  public func ports(bar number: Int) -> UInt16? {
    guard command & Self.decodesPorts != 0 else { return nil }
    let base = UInt16(truncatingIfNeeded: read(0x10 + number * 4, size: 4)) & ~3
    return base == 0 ? nil : base
  }

  // MARK: for a guest

  /// Bytes beyond the end read as ones.
  public func read(_ offset: Int, size: Int) -> UInt32 {
    var value: UInt32 = 0
    for index in 0..<min(max(size, 0), 4) {
      let byte = Self.contains(offset &+ index) ? bytes[offset &+ index] : 0xFF
      value |= UInt32(byte) << UInt32(index * 8)
    }
    return value
  }

  public mutating func write(_ offset: Int, size: Int, _ value: UInt32) {
    for index in 0..<min(max(size, 0), 4) where Self.contains(offset &+ index) {
      let at = offset &+ index
      let byte = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
      bytes[at] = bytes[at] & ~writable[at] | byte & writable[at]
    }
  }

  private static func contains(_ offset: Int) -> Bool { (0..<byteCount).contains(offset) }
}
