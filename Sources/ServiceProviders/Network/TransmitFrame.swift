// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// What is still to be done for a frame of the guest: the same as a virtio-net header says. Offsets count from the frame's
/// first byte.
public struct TransmitOffloads: Hashable, Sendable {
  /// From `checksumStart` to the end is to be summed; the sum goes to `checksumStart + checksumOffset`, where the pseudo
  /// header's is now. 0: nothing to do.
  public var checksumStart: UInt16 = 0
  public var checksumOffset: UInt16 = 0
  /// TCP is to be cut into segments of this many bytes of payload; 0: not.
  public var segmentSize: UInt16 = 0
  /// Bytes of all headers when it is to be cut.
  public var headerSize: UInt16 = 0
  /// Of what is to be cut.
  public var isIPv6 = false

  @inlinable public init() {}

  @inlinable public var isSegmented: Bool { segmentSize > 0 }
  @inlinable public var needsChecksum: Bool { checksumStart > 0 }
}

/// A frame that the guest sends: its first bytes, copied once and so beyond the guest's reach, and where the rest lies.
///
/// Lengths and checksums of IP headers that the guest left out are filled in. Reused from frame to frame.
public struct TransmitFrame: Sendable {
  /// Of the whole frame, at least 14.
  public internal(set) var byteCount = 0
  /// Bytes in `header`; the others are in the guest's memory. All headers that offloads concern are in it.
  public internal(set) var headerByteCount = 0
  public internal(set) var layout: FrameLayout
  public internal(set) var offloads = TransmitOffloads()
  /// Control information of an 802.1Q tag that belongs into the frame and is not in it.
  public internal(set) var tag: UInt16?
  /// The guest's own of the flow.
  public internal(set) var hash: UInt32?
  @usableFromInline var words = InlineArray<64, UInt64>(repeating: 0)
  @usableFromInline var rest = TransmitCursor()
  /// Bytes behind the header that `nextSegment` has named.
  @usableFromInline var named = 0

  /// Bytes of the copy when the frame has as many.
  @usableFromInline static var headerCopy: Int { 128 }
  /// No header that a checksum or segmentation concerns may be longer.
  @usableFromInline static var maximumHeader: Int { 255 }

  public init() {
    layout = FrameLayout(RawSpan())
  }

  public var header: RawSpan {
    @_lifetime(borrow self) get { unsafe words.span.bytes.extracting(first: headerByteCount) }
  }

  public var destination: EthernetAddress { address(0) }
  public var source: EthernetAddress { address(6) }

  private func address(_ offset: Int) -> EthernetAddress {
    do throws(WireError) {
      return try EthernetAddress(decoding: header, at: offset)
    } catch {
      return EthernetAddress(rawValue: 0)
    }
  }
}

/// The bytes that one packet brings: of a section of the send buffer, then of its own ranges.
public struct TransmitCursor: Sendable {
  @usableFromInline var address: UInt64 = 0
  /// Bytes left of the run at `address`.
  @usableFromInline var count: UInt64 = 0
  @usableFromInline var sectionOffset: UInt64 = 0
  @usableFromInline var sectionLeft: UInt64 = 0
  @usableFromInline var segments: GPASegments?

  @usableFromInline init() {}

  /// The next bytes that lie together, at most `limit`; nil: no more.
  @inlinable
  mutating func next(
    _ limit: UInt64, _ section: borrowing NetworkBuffer?, in packet: RawSpan
  ) throws(RingError) -> GPASegment? {
    while count == 0 {
      if sectionLeft > 0 {
        guard let run = section?.run(at: sectionOffset, limit: sectionLeft) else { return nil }
        sectionOffset &+= run.byteCount
        sectionLeft &-= run.byteCount
        address = run.address
        count = run.byteCount
      } else {
        guard let run = try segments?.next(in: packet) else { return nil }
        address = run.address
        count = run.byteCount
      }
    }
    let taken = min(limit, count)
    let segment = GPASegment(address: address, byteCount: taken)
    address &+= taken
    count &-= taken
    return segment
  }
}

/// The frames of one packet of the guest, from its arrival until its answer. Ends with `NetworkChannel.complete`, exactly
/// once.
public struct TransmitBatch: Sendable {
  let transactionID: UInt64
  let wantsAnswer: Bool
  let opening: UInt16
  @usableFromInline var cursor: TransmitCursor
  /// Bytes that are still to be looked at.
  @usableFromInline var left: UInt64
  @usableFromInline var frames = 0
  @usableFromInline var status = NVSPStatus.success

  init(_ packet: Packet, opening: UInt16, cursor: TransmitCursor, byteCount: UInt64) {
    transactionID = packet.transactionID
    wantsAnswer = packet.completionRequested
    self.opening = opening
    self.cursor = cursor
    left = byteCount
  }

  /// Frames that one packet may carry. We announce 8.
  @usableFromInline static var maximumFrames: Int { 64 }
}
