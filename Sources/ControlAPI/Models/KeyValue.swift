// SPDX-License-Identifier: Apache-2.0

/// The pools of the data exchange service, by the names of the pool files in a Linux guest.
public enum KeyValuePool: String, Codable, CaseIterable, Hashable, Sendable {
  /// Pool 0: written by the host, read by the guest.
  case external
  /// Pool 1: written by the guest, read by the host.
  case guest
  /// Pool 2: what the guest's daemon reports by itself (names, versions, addresses).
  case auto
  /// Pool 3: what the host tells about itself (its own name, the machine's name).
  case host

  /// The number on the wire.
  public var number: UInt8 {
    switch self {
    case .external: 0
    case .guest: 1
    case .auto: 2
    case .host: 3
    }
  }
}

/// One data exchange item.
public struct KeyValueItem: Codable, Hashable, Sendable {
  public enum Kind: String, Codable, CaseIterable, Sendable {
    case string, u32, u64
  }

  public var pool: KeyValuePool
  public var key: String
  /// Numbers in decimal.
  public var value: String
  public var kind: Kind

  public init(pool: KeyValuePool, key: String, value: String, kind: Kind = .string) {
    self.pool = pool
    self.key = key
    self.value = value
    self.kind = kind
  }
}

/// The body of `PUT /v1/kvp/{pool}/{key}`.
public struct KeyValueUpdate: StrictlyDecodable, Encodable, Hashable {
  public var value: String
  public var kind: KeyValueItem.Kind?

  public init(value: String, kind: KeyValueItem.Kind? = nil) {
    self.value = value
    self.kind = kind
  }

  public static let knownFields: Set<String> = ["value", "kind"]
}
