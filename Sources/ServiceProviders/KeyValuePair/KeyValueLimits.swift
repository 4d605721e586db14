// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// How long keys and values may be. The wire counts UTF-16 with a terminator; Linux keeps UTF-8 with a terminator in
/// fields of the same number of bytes and cuts silently, so what would be cut is refused here.
public enum KeyValueLimits {
  /// UTF-16 units of a key, one less than the wire allows: Linux gives back at most 254 (quirk KVP-READ-LIMIT), and a
  /// key that cannot be read back cannot be found.
  public static let keyUnits = KeyValueRecord.keyCapacity / 2 - 2
  public static let keyBytes = KeyValueRecord.keyCapacity - 1
  /// UTF-16 units of a value. Linux stores 1023 and gives back 1022 of them (quirk KVP-READ-LIMIT).
  public static let valueUnits = KeyValueRecord.valueCapacity / 2 - 1
  public static let valueBytes = KeyValueRecord.valueCapacity - 1

  static func check(key: String) throws(ServiceError) {
    guard !key.isEmpty else { throw .invalidRequest("the key is empty") }
    try check(key, "key", units: keyUnits, bytes: keyBytes)
  }

  static func check(value: KeyValueValue) throws(ServiceError) {
    guard case .string(let text) = value else { return }
    try check(text, "value", units: valueUnits, bytes: valueBytes)
  }

  static func check(_ text: String, _ name: String, units: Int, bytes: Int) throws(ServiceError) {
    guard !text.utf16.contains(0) else { throw .invalidRequest("the \(name) contains a NUL character") }
    guard text.utf16.count <= units else {
      throw .invalidRequest("the \(name) has \(text.utf16.count) UTF-16 units, more than \(units)")
    }
    guard text.utf8.count <= bytes else {
      throw .invalidRequest("the \(name) has \(text.utf8.count) bytes as UTF-8, more than \(bytes)")
    }
  }
}
