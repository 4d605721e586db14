// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// A frame that the guest wants sent.
public struct NetworkSend: Sendable {
  /// Of the whole frame, tag not included.
  public var byteCount: Int
  /// Checksums, segments, tag and hash.
  public var information: PacketInformation
  /// The shell's own; comes back when the host is done.
  public var context: UInt64

  @inlinable public init(byteCount: Int, information: PacketInformation = PacketInformation(), context: UInt64) {
    self.byteCount = byteCount
    self.information = information
    self.context = context
  }
}

/// Where the shell puts a frame.
public enum NetworkSendPlace: Hashable, Sendable {
  /// Header and frame into a section of the send buffer: sent in-band.
  case section
  /// The header into a section, the frame named by ranges.
  case headerInSection
  /// Both named by ranges.
  case ranges
}

/// A packet that carries frames: its 40 bytes, its id, and what the shell has to do with it.
public struct NetworkSendPacket: Sendable {
  public let transactionID: UInt64
  /// The section, in units of the section size; nil: none.
  public let section: UInt32?
  /// Bytes of the section that are used.
  public internal(set) var sectionByteCount: UInt32
  /// Bytes that were written into `header`; they go in front of the frame.
  public internal(set) var headerByteCount: Int
  /// Frames in it.
  public internal(set) var frames: UInt32 = 1
  @usableFromInline var words = InlineArray<5, UInt64>(repeating: 0)

  public var bytes: RawSpan {
    @_lifetime(borrow self) get { unsafe words.span.bytes }
  }

  init(transactionID: UInt64, section: UInt32?, sectionByteCount: UInt32, headerByteCount: Int) {
    self.transactionID = transactionID
    self.section = section
    self.sectionByteCount = sectionByteCount
    self.headerByteCount = headerByteCount
    encode()
  }

  mutating func encode() {
    words[0] = UInt64(NVSPMessageType.packet.rawValue)
    words[1] = UInt64(section ?? NetworkAdapter.noSection) | UInt64(sectionByteCount) &<< 32
  }
}
