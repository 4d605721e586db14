// SPDX-License-Identifier: Apache-2.0

/// What is still to do for a frame, or was done already: the same as a virtio-net header says (virtio 1.2, 5.1.6).
/// Offsets count from the frame's first byte, a tag in its bytes included.
public struct FrameOffloads: Hashable, Sendable {
  public enum Checksum: Hashable, Sendable {
    /// As it stands in the frame; nobody has looked at it.
    case none
    /// To be computed from `start` to the frame's end and stored at `start + offset`, where the pseudo header's sum is.
    case needed(start: UInt16, offset: UInt16)
    /// The receiver may trust it.
    case verified
  }

  public enum Segmentation: Hashable, Sendable {
    case none
    case tcp4(ecn: Bool)
    case tcp6(ecn: Bool)
    /// UDP that is to be cut into datagrams.
    case udp
    /// One UDP datagram to be cut into IP fragments.
    case udpFragments
  }

  public var checksum: Checksum
  public var segmentation: Segmentation
  /// Payload bytes of a segment; 0 without segmentation.
  public var segmentSize: UInt16
  /// Bytes of all headers, or 0 for unknown. A hint.
  public var headerLength: UInt16

  public init(
    checksum: Checksum = .none, segmentation: Segmentation = .none, segmentSize: UInt16 = 0, headerLength: UInt16 = 0
  ) {
    self.checksum = checksum
    self.segmentation = segmentation
    self.segmentSize = segmentSize
    self.headerLength = headerLength
  }

  public static let none = FrameOffloads()

  public var isSegmented: Bool { segmentation != .none }

  /// Whether the places named lie in a frame of `byteCount` bytes, and segmentation has what it needs.
  public func fits(_ byteCount: Int) -> Bool {
    if case .needed(let start, let offset) = checksum {
      guard start >= 14, Int(start) + Int(offset) + 2 <= byteCount else { return false }
    }
    guard isSegmented else { return true }
    guard segmentSize > 0, Int(headerLength) <= byteCount else { return false }
    if case .needed = checksum { return true }
    return segmentation == .udpFragments
  }

  /// The same for a frame that has `count` bytes more (or fewer) before its network header.
  public func shifted(by count: Int) -> FrameOffloads {
    guard count != 0 else { return self }
    var result = self
    if case .needed(let start, let offset) = checksum {
      result.checksum = .needed(start: UInt16(clamping: Int(start) + count), offset: offset)
    }
    if headerLength != 0 { result.headerLength = UInt16(clamping: Int(headerLength) + count) }
    return result
  }
}
