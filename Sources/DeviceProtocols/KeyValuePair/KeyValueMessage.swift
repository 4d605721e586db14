// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The head of a key-value message's body and where the rest of it lies. Offsets are from the start of the body.
///
/// Layout: `hv_kvp_msg` and `hv_kvp_ip_msg` in include/uapi/linux/hyperv.h of Linux 6.1. The guest answers in the same
/// packet, so a request has the size of its answer.
public struct KeyValueMessage: Hashable, Sendable {
  /// Offset 0.
  public var operation: KeyValueOperation
  /// Offset 1.
  public var pool: KeyValuePool
  /// Offset 4, in an enumeration only; 0 in every other message.
  public var index: UInt32

  /// Get and set: the record follows the 4-byte head.
  public static let recordOffset = 4
  public static let recordMessageSize = recordOffset + KeyValueRecord.wireSize
  /// Delete: size and bytes of the key.
  public static let deleteKeySizeOffset = 4
  public static let deleteKeyOffset = 8
  public static let deleteMessageSize = deleteKeyOffset + KeyValueRecord.keyCapacity
  /// Enumerate: the record follows the index.
  public static let enumeratedRecordOffset = 8
  public static let enumerateMessageSize = enumeratedRecordOffset + KeyValueRecord.wireSize
  /// Addresses: they follow operation and pool, without padding.
  public static let addressesOffset = 2
  public static let addressesMessageSize = addressesOffset + AdapterAddressRecord.wireSize

  public init(operation: KeyValueOperation, pool: KeyValuePool, index: UInt32 = 0) {
    self.operation = operation
    self.pool = pool
    self.index = index
  }

  /// Fails when the body is shorter than the message of its operation, or the operation is unknown.
  public init(decoding body: RawSpan) throws(WireError) {
    operation = KeyValueOperation(rawValue: try body.read(UInt8.self, at: 0))
    pool = KeyValuePool(rawValue: try body.read(UInt8.self, at: 1))
    guard let size = Self.bodySize(of: operation) else { throw .invalid(offset: 0) }
    guard body.byteCount >= size else { throw .truncated(needed: size, available: body.byteCount) }
    index = operation == .enumerate ? try body.read(UInt32.self, at: 4) : 0
  }

  @_lifetime(body: copy body)
  public func encode(into body: inout MutableRawSpan) throws(WireError) {
    try body.write(operation.rawValue, at: 0)
    try body.write(pool.rawValue, at: 1)
    if operation == .enumerate { try body.write(index, at: 4) }
  }

  /// The size of a message's body; nil for an unknown operation.
  public static func bodySize(of operation: KeyValueOperation) -> Int? {
    switch operation {
    case .get, .set: recordMessageSize
    case .delete: deleteMessageSize
    case .enumerate: enumerateMessageSize
    case .getAddresses, .setAddresses: addressesMessageSize
    default: nil
    }
  }

  /// Where the record begins in a message of this operation; nil when it has none.
  public static func recordOffset(of operation: KeyValueOperation) -> Int? {
    switch operation {
    case .get, .set: recordOffset
    case .enumerate: enumeratedRecordOffset
    default: nil
    }
  }
}
