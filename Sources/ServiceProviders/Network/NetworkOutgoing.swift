// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// One packet on its way into the ring. Reused from packet to packet.
public struct NetworkOutgoing: Sendable {
  public internal(set) var type = PacketType.completion
  public internal(set) var transactionID: UInt64 = 0
  var tailWords = InlineArray<65, UInt64>(repeating: 0)
  var tailByteCount = 0
  var words = InlineArray<13, UInt64>(repeating: 0)
  var byteCount = 0
  /// What leaves its queue when the packet is in the ring.
  var origin = Origin.answer
  /// Frames in it.
  var frames = 0

  enum Origin: UInt8, Sendable {
    case answer
    case message
    case control
    case frames
  }

  public init() {}

  public var descriptorTail: RawSpan {
    @_lifetime(borrow self) get { unsafe tailWords.span.bytes.extracting(first: tailByteCount) }
  }

  public var payload: RawSpan {
    @_lifetime(borrow self) get { unsafe words.span.bytes.extracting(first: byteCount) }
  }

  mutating func setCompletion(_ answer: NetworkAnswer) {
    type = .completion
    transactionID = answer.transactionID
    tailByteCount = 0
    origin = .answer
    byteCount = answer.kind == .empty ? 0 : NVSPMessage.wireSize
    if answer.kind == .empty { return }
    words[0] = UInt64(NVSPMessageType.packetComplete.rawValue) | UInt64(answer.status.rawValue) &<< 32
    clear(from: 1)
  }

  mutating func setMessage(_ message: NetworkMessage) {
    type = message.transactionID == nil ? .inBand : .completion
    transactionID = message.transactionID ?? 0
    tailByteCount = 0
    origin = .message
    byteCount = message.message.byteCount
    words = InlineArray(repeating: 0)
    var span = words.mutableSpan
    var bytes = unsafe span.mutableBytes
    do throws(WireError) {
      try message.message.encode(into: &bytes)
    } catch {
      preconditionFailure("a message is longer than 104 bytes")
    }
  }

  /// A packet of RNDIS messages; ranges follow with `addRange`.
  mutating func beginTransfer(_ origin: Origin, id: UInt16, transactionID: UInt64) {
    type = .transferPages
    self.transactionID = transactionID
    self.origin = origin
    tailWords[0] = UInt64(id)
    tailByteCount = 8
    frames = 0
    byteCount = NVSPMessage.wireSize
    words[0] = UInt64(NVSPMessageType.packet.rawValue) | (origin == .control ? 1 &<< 32 : 0)
    words[1] = UInt64(NetworkAdapter.noSection)
    clear(from: 2)
  }

  private mutating func clear(from first: Int) {
    for index in first..<5 { words[index] = 0 }
  }

  var ranges: Int { tailByteCount / 8 - 1 }

  mutating func addRange(byteCount: UInt32, offset: UInt32) {
    tailWords[tailByteCount / 8] = UInt64(byteCount) | UInt64(offset) &<< 32
    tailByteCount += 8
    tailWords[0] &+= 1 &<< 32
  }
}

/// What a look at the answers brought.
public struct NetworkDelivery: Hashable, Sendable {
  /// Signal the guest.
  public var signal = false
  /// Something is left over for want of room in the ring; the guest was asked for a signal. Deliver again then.
  public var isBlocked = false

  public init() {}
}
