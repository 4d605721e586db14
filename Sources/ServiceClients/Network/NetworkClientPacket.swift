// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// One of the 40-byte messages that a guest sends beside frames, held in place, with its transaction id.
public struct NetworkClientPacket: Sendable {
  public let transactionID: UInt64
  public let wantsCompletion: Bool
  /// Bytes of the control page that go along, as the one range of a GPA-direct packet; 0: send it in-band.
  public let controlByteCount: Int
  @usableFromInline var words = InlineArray<5, UInt64>(repeating: 0)

  public var bytes: RawSpan {
    @_lifetime(borrow self) get { unsafe words.span.bytes }
  }

  init(_ message: NVSPMessage, transactionID: UInt64, wantsCompletion: Bool) {
    self.transactionID = transactionID
    self.wantsCompletion = wantsCompletion
    controlByteCount = 0
    var span = words.mutableSpan
    var packet = unsafe span.mutableBytes
    do throws(WireError) {
      try message.encode(into: &packet)
    } catch {
      preconditionFailure("a message is longer than a packet")
    }
  }

  init(controlByteCount: Int, transactionID: UInt64) {
    self.transactionID = transactionID
    self.controlByteCount = controlByteCount
    wantsCompletion = true
    var span = words.mutableSpan
    var packet = unsafe span.mutableBytes
    do throws(WireError) {
      try NVSPPacket(isControl: true).encode(into: &packet)
    } catch {
      preconditionFailure("a message is longer than a packet")
    }
  }
}

/// The answer to a packet of the host's, 8 bytes: type 11, the host's transaction id.
public struct NetworkReceiveCompletion: Sendable {
  @usableFromInline var word: InlineArray<1, UInt64>

  @inlinable public init(_ status: NVSPStatus) {
    word = [UInt64(NVSPMessageType.packetComplete.rawValue) | UInt64(status.rawValue) &<< 32]
  }

  public var bytes: RawSpan {
    @_lifetime(borrow self) get { unsafe word.span.bytes }
  }
}
