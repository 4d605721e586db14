// SPDX-License-Identifier: Apache-2.0

/// Why a ring operation did not take place.
public enum RingError: Error, Equatable, Sendable {
  /// The peer broke the ring. The channel is unusable: the owner closes it, counts it and logs it once.
  case corrupt(RingCorruption)
  /// No room now for a packet that takes `needed` bytes of the ring, trailer included. Nothing was written. Commit
  /// what was written before, then `requestSpace(needed)` and wait for the peer's signal.
  case full(needed: UInt32)
  /// Reader: the packet at hand, of `needed` bytes, is larger than the buffer; the cursor did not move.
  /// Writer: a packet that takes `needed` bytes cannot fit into this ring, not even when it is empty.
  case tooLarge(needed: Int)
}

/// What the peer did to a ring.
public enum RingCorruption: Equatable, Sendable {
  /// The data area's size is 0, not a multiple of 8, or beyond what 32-bit index arithmetic can carry.
  case dataSize(UInt32)
  /// Not inside the data area, or not a multiple of 8.
  case writeIndex(UInt32)
  /// Not inside the data area, or not a multiple of 8.
  case readIndex(UInt32)
  /// Bytes of a packet, shorter than its descriptor or longer than what the writer has published.
  case packetLength(UInt32)
  /// Bytes from the packet's start, inside the fixed descriptor or behind the packet's end.
  case payloadOffset(UInt32)
  /// The descriptor data of a GPA-direct or transfer-page packet contradicts itself or the packet's length.
  case descriptor(DescriptorCorruption)
}

/// What is wrong with the descriptor data of a packet.
public enum DescriptorCorruption: Equatable, Sendable {
  /// The packet is of another type.
  case type(PacketType)
  /// No room for the fixed part in front of the ranges.
  case truncated
  /// Zero ranges, or more than the descriptor has room for.
  case rangeCount(UInt32)
  /// The first byte of a GPA range lies outside its first page.
  case byteOffset(UInt32)
  /// The page list of a range ends behind the descriptor.
  case pageList(byteCount: UInt32)
  /// A guest page number that no 64-bit byte address has.
  case pageFrame(UInt64)
}
