// SPDX-License-Identifier: Apache-2.0

/// What a data exchange item may be: keys and values travel as UTF-16 in fields of 512 and 2048 bytes, the terminating
/// zero included (`HV_KVP_EXCHANGE_MAX_KEY_SIZE`, `_VALUE_SIZE` of Linux' `hyperv.h`). Linux keeps them as UTF-8 in fields
/// of the same size, so both forms must fit.
public enum KeyValueRules {
  public static let keyBytes = 512
  public static let valueBytes = 2048

  public static func check(_ item: KeyValueItem) throws(ControlError) {
    guard !item.key.isEmpty else { throw ControlError(.badRequest, "the key is empty") }
    guard fits(item.key, keyBytes) else {
      throw ControlError(
        .tooLarge, "the key is longer than \(keyBytes / 2 - 1) UTF-16 units or \(keyBytes - 1) bytes of UTF-8",
        remedy: "use a shorter one")
    }
    switch item.kind {
    case .string:
      guard fits(item.value, valueBytes) else {
        throw ControlError(
          .tooLarge, "the value is longer than \(valueBytes / 2 - 1) UTF-16 units or \(valueBytes - 1) bytes of UTF-8",
          remedy: "split it over several keys")
      }
    case .u32:
      guard UInt32(item.value) != nil else {
        throw ControlError(
          .badRequest, "\"\(item.value)\" is not an unsigned 32-bit number", remedy: "use decimal digits")
      }
    case .u64:
      guard UInt64(item.value) != nil else {
        throw ControlError(
          .badRequest, "\"\(item.value)\" is not an unsigned 64-bit number", remedy: "use decimal digits")
      }
    }
    guard !item.key.utf8.contains(0), !item.value.utf8.contains(0) else {
      throw ControlError(.badRequest, "keys and values cannot hold a zero character")
    }
  }

  private static func fits(_ text: String, _ bytes: Int) -> Bool {
    text.utf8.count < bytes && text.utf16.count < bytes / 2
  }
}
