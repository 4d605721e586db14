// SPDX-License-Identifier: Apache-2.0

/// One pair of a pool. Text from a guest is untrusted: quote it before it reaches a terminal.
public struct KeyValueItem: Hashable, Sendable {
  public var key: String
  public var value: KeyValueValue

  public init(key: String, value: KeyValueValue) {
    self.key = key
    self.value = value
  }
}

/// A value with its registry type. Linux turns integers into decimal text when they are set, and answers with text.
public enum KeyValueValue: Hashable, Sendable {
  case string(String)
  case unsigned32(UInt32)
  case unsigned64(UInt64)

  public var text: String {
    switch self {
    case .string(let text): text
    case .unsigned32(let number): String(number)
    case .unsigned64(let number): String(number)
    }
  }
}

/// What to do about a key that is, or is not, there already.
public enum KeyValueWriteMode: String, Hashable, Sendable {
  /// Add or replace.
  case set
  /// Fail with `keyExists` when the key is there.
  case add
  /// Fail with `noSuchKey` when it is not.
  case modify
}
