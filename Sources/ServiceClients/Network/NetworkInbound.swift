// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The receive buffer as the guest has it. The host writes it at any time, so it is copied from, never looked at.
public protocol NetworkReceiveBuffer: ~Copyable {
  /// Copies `bytes.byteCount` bytes from `offset` on, which lie in the buffer.
  func copy(at offset: UInt32, into bytes: inout MutableRawSpan)
}

/// The messages of one packet of the host, in the receive buffer. When all are taken, send `NetworkReceiveCompletion` with
/// the packet's transaction id: only then does the host use their places again.
public struct NetworkInbound: Sendable {
  public let transactionID: UInt64
  /// The host wants it back, which it always does.
  public let wantsCompletion: Bool
  /// What to answer.
  public internal(set) var status = NVSPStatus.success
  var ranges: TransferPageRanges
  /// Whether parts of a frame have come, and not all.
  var isInside = false
  var left: Int

  init(_ packet: Packet, _ ranges: TransferPageRanges) {
    transactionID = packet.transactionID
    wantsCompletion = packet.completionRequested
    self.ranges = ranges
    left = ranges.rangeCount
  }
}

/// One message of the host's.
public enum NetworkInboundMessage: Sendable {
  case frame(NetworkReceived)
  /// Bytes of a control message, at this place of the buffer: copy it, then `NetworkClient.receive(control:)`.
  case control(offset: UInt32, byteCount: Int)
}

/// A frame, or part of one, in the receive buffer.
public struct NetworkReceived: Sendable {
  /// From the buffer's first byte.
  public let offset: UInt32
  public let byteCount: Int
  /// Of the first part of a frame: what the host knows of it.
  public let information: PacketInformation
  /// The parts of a frame come one after the other.
  public let isFirst: Bool
  public let isLast: Bool

  @inlinable public var checksum: ReceiveChecksum? { information.checksum.map { ReceiveChecksum(rawValue: $0) } }
  /// Whether the sum of TCP or UDP need not be looked at.
  @inlinable public var isChecksumGood: Bool {
    guard let checksum else { return false }
    return checksum.contains(.tcpGood) || checksum.contains(.udpGood)
  }
}

extension NetworkQueue {
  /// Longest control message of a host: an answer with all that a query may bring.
  static var maximumControl: UInt32 { 1024 }

  /// The next message; nil: no more. Those that contradict themselves are dropped, and the packet is answered with an
  /// error. `bytes` is the copy of the packet.
  public mutating func nextMessage<Buffer: NetworkReceiveBuffer & ~Copyable>(
    of inbound: inout NetworkInbound, in bytes: RawSpan, buffer: borrowing Buffer
  ) -> NetworkInboundMessage? {
    while inbound.left > 0 {
      inbound.left &-= 1
      do throws(WireError) {
        if let message = try next(&inbound, bytes, buffer) { return message }
      } catch {
        inbound.status = .failure
        inbound.isInside = false
        faults &+= 1
      }
    }
    return nil
  }

  private func next<Buffer: NetworkReceiveBuffer & ~Copyable>(
    _ inbound: inout NetworkInbound, _ bytes: RawSpan, _ buffer: borrowing Buffer
  ) throws(WireError) -> NetworkInboundMessage? {
    let range: TransferPageRange
    do throws(RingError) {
      guard let next = try inbound.ranges.next(in: bytes) else { return nil }
      range = next
    } catch {
      throw .invalid(offset: 24)
    }
    let size = UInt64(layout.receiveSection.byteCount) &* UInt64(layout.receiveSection.count)
    guard range.fits(in: size), range.byteCount <= layout.receiveSection.byteCount, range.byteCount >= 8 else {
      throw .invalid(offset: 24)
    }
    var words = InlineArray<8, UInt64>(repeating: 0)
    var span = words.mutableSpan
    var head = unsafe span.mutableBytes
    let headCount = range.byteCount < 44 ? Int(range.byteCount) : 44
    var part = head._mutatingExtracting(first: headCount)
    buffer.copy(at: range.byteOffset, into: &part)
    let type = RNDISMessageType(rawValue: try unsafe words.span.bytes.read(UInt32.self, at: 0))
    guard type == .packet else {
      guard range.byteCount <= Self.maximumControl else { throw .invalid(offset: 4) }
      return .control(offset: range.byteOffset, byteCount: Int(range.byteCount))
    }
    guard headCount == 44 else { throw .truncated(needed: 44, available: headCount) }
    let packet = try unsafe RNDISPacket(decoding: words.span.bytes, available: UInt64(range.byteCount))
    guard packet.dataByteCount > 0 else { throw .invalid(offset: 12) }
    let information = try information(packet, range, buffer)
    var isFirst = true
    var isLast = true
    if let part = information.part, part.isPart {
      isFirst = part.isFirst
      isLast = part.isLast
      // Parts are in one packet, all of them, in order.
      guard isFirst || inbound.isInside, isLast || inbound.left > 0 else { throw .invalid(offset: 44) }
    }
    inbound.isInside = !isLast
    return .frame(
      NetworkReceived(
        offset: range.byteOffset &+ UInt32(truncatingIfNeeded: packet.dataPlace), byteCount: Int(packet.dataByteCount),
        information: information, isFirst: isFirst, isLast: isLast))
  }

  private func information<Buffer: NetworkReceiveBuffer & ~Copyable>(
    _ packet: RNDISPacket, _ range: TransferPageRange, _ buffer: borrowing Buffer
  ) throws(WireError) -> PacketInformation {
    let count = Int(packet.informationByteCount)
    guard count > 0 else { return PacketInformation() }
    var words = InlineArray<64, UInt64>(repeating: 0)
    guard count <= PacketInformation.maximumBytes else { throw .invalid(offset: 32) }
    var span = words.mutableSpan
    var bytes = unsafe span.mutableBytes
    var part = bytes._mutatingExtracting(first: count)
    buffer.copy(at: range.byteOffset &+ UInt32(truncatingIfNeeded: packet.informationPlace), into: &part)
    return try unsafe PacketInformation(decoding: words.span.bytes.extracting(first: count))
  }
}
