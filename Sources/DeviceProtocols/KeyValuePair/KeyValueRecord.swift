// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The sizes and the type of one key and value; their bytes lie at fixed places behind them.
///
/// Layout: `hv_kvp_exchg_msg_value` in include/uapi/linux/hyperv.h of Linux 6.1: type u32, key size u32, value size u32,
/// key 512 bytes of UTF-16, value 2048 bytes. Sizes are bytes and include the terminating NUL, where there is one.
public struct KeyValueRecord: Hashable, Sendable {
  public static let wireSize = 2572
  public static let keyOffset = 12
  public static let keyCapacity = 512
  public static let valueOffset = 524
  public static let valueCapacity = 2048

  public var type: KeyValueType
  public var keySize: Int
  public var valueSize: Int

  public init(type: KeyValueType, keySize: Int, valueSize: Int) {
    self.type = type
    self.keySize = keySize
    self.valueSize = valueSize
  }

  /// Reads and checks the record at `offset`. Fails when a size is over its capacity, odd where it counts UTF-16, or
  /// not that of its integer type, and when the type is unknown.
  public init(decoding bytes: RawSpan, at offset: Int) throws(WireError) {
    let record = try bytes.slice(at: offset, count: Self.wireSize)
    type = KeyValueType(rawValue: try record.read(UInt32.self, at: 0))
    let key = try record.read(UInt32.self, at: 4)
    let value = try record.read(UInt32.self, at: 8)
    guard key <= UInt32(Self.keyCapacity), key & 1 == 0 else { throw .invalid(offset: offset &+ 4) }
    guard value <= UInt32(Self.valueCapacity) else { throw .invalid(offset: offset &+ 8) }
    keySize = Int(key)
    valueSize = Int(value)
    switch type {
    case .string:
      guard valueSize & 1 == 0 else { throw .invalid(offset: offset &+ 8) }
    case .unsigned32:
      guard valueSize == 4 else { throw .invalid(offset: offset &+ 8) }
    case .unsigned64:
      guard valueSize == 8 else { throw .invalid(offset: offset &+ 8) }
    default:
      throw .invalid(offset: offset)
    }
  }

  /// The sizes of a key alone, as a request to get a value carries them; type and value size mean nothing there.
  public static func keySize(decoding bytes: RawSpan, at offset: Int) throws(WireError) -> Int {
    let key = try bytes.read(UInt32.self, at: offset)
    guard key <= UInt32(keyCapacity), key & 1 == 0 else { throw .invalid(offset: offset) }
    return Int(key)
  }

  /// Writes type and sizes; the key's and the value's bytes are left as they are.
  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int) throws(WireError) {
    try bytes.write(type.rawValue, at: offset)
    try bytes.write(UInt32(truncatingIfNeeded: keySize), at: offset &+ 4)
    try bytes.write(UInt32(truncatingIfNeeded: valueSize), at: offset &+ 8)
  }
}
