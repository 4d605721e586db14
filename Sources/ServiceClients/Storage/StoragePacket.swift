// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// One of the 64-byte packets that a guest sends, held in place, with its transaction id. Completion requested, always.
public struct StoragePacket: Sendable {
  public let transactionID: UInt64
  @usableFromInline var words = InlineArray<8, UInt64>(repeating: 0)

  public var bytes: RawSpan {
    @_lifetime(borrow self) get { unsafe words.span.bytes }
  }

  init(_ operation: StorageOperation, transactionID: UInt64) {
    self.transactionID = transactionID
    words[0] = UInt64(operation.rawValue) | UInt64(StorageHeader.completionFlag) &<< 32
  }

  /// Bytes 12–15, where the bodies of control packets begin.
  init(_ operation: StorageOperation, transactionID: UInt64, body: UInt32) {
    self.init(operation, transactionID: transactionID)
    words[1] = UInt64(body) &<< 32
  }

  init(_ block: SCSIRequestBlock, version: StorageVersion, transactionID: UInt64) {
    self.init(.execute, transactionID: transactionID)
    var span = words.mutableSpan
    var packet = unsafe span.mutableBytes
    do throws(WireError) {
      try block.encode(intoBodyOf: &packet, version: version)
    } catch {
      preconditionFailure("a request block is longer than a packet")
    }
  }
}
