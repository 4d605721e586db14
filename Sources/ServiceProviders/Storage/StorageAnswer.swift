// SPDX-License-Identifier: Apache-2.0

import VMBus

/// One packet on its way into the ring.
public struct StorageAnswer: Sendable {
  public var type = PacketType.completion
  public var transactionID: UInt64 = 0
  /// 64, or 48 for old guests.
  public var byteCount = 0
  var words = InlineArray<8, UInt64>(repeating: 0)

  public init() {}

  public var bytes: RawSpan {
    @_lifetime(borrow self) get { unsafe words.span.bytes.extracting(first: byteCount) }
  }

  /// Nothing that we encode is longer than 64 bytes.
  mutating func write(_ body: (inout MutableRawSpan) throws(WireError) -> Void) {
    words = InlineArray(repeating: 0)
    var span = words.mutableSpan
    var packet = unsafe span.mutableBytes
    do throws(WireError) {
      try body(&packet)
    } catch {
      preconditionFailure("an answer is longer than 64 bytes")
    }
  }
}
