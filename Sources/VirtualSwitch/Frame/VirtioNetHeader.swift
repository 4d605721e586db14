// SPDX-License-Identifier: Apache-2.0

/// The ten bytes that TAP devices and packet sockets put before a frame (linux/virtio_net.h), in the host's byte order,
/// which is little-endian here.
public struct VirtioNetHeader: Equatable, Sendable {
  public static let wireSize = 10

  public var offloads: FrameOffloads

  public init(_ offloads: FrameOffloads) { self.offloads = offloads }

  private static let needsChecksum: UInt8 = 1
  private static let dataValid: UInt8 = 2
  private static let ecn: UInt8 = 0x80

  /// `nil` for fewer than ten bytes or a segmentation type that is not known.
  public init?(decoding bytes: RawSpan) {
    guard bytes.byteCount >= Self.wireSize else { return nil }
    func word(_ offset: Int) -> UInt16 { UInt16(bytes.byte(offset)) | UInt16(bytes.byte(offset + 1)) << 8 }
    let flags = bytes.byte(0)
    let type = bytes.byte(1)
    var offloads = FrameOffloads()
    if flags & Self.needsChecksum != 0 {
      offloads.checksum = .needed(start: word(6), offset: word(8))
    } else if flags & Self.dataValid != 0 {
      offloads.checksum = .verified
    }
    let ecn = type & Self.ecn != 0
    switch type & ~Self.ecn {
    case 0: break
    case 1: offloads.segmentation = .tcp4(ecn: ecn)
    case 3: offloads.segmentation = .udpFragments
    case 4: offloads.segmentation = .tcp6(ecn: ecn)
    case 5: offloads.segmentation = .udp
    default: return nil
    }
    if offloads.isSegmented { offloads.segmentSize = word(4) }
    offloads.headerLength = word(2)
    self.offloads = offloads
  }

  public var bytes: InlineArray<10, UInt8> {
    var bytes = InlineArray<10, UInt8>(repeating: 0)
    switch offloads.checksum {
    case .none: break
    case .verified: bytes[0] = Self.dataValid
    case .needed(let start, let offset):
      bytes[0] = Self.needsChecksum
      bytes[6] = UInt8(truncatingIfNeeded: start)
      bytes[7] = UInt8(truncatingIfNeeded: start >> 8)
      bytes[8] = UInt8(truncatingIfNeeded: offset)
      bytes[9] = UInt8(truncatingIfNeeded: offset >> 8)
    }
    switch offloads.segmentation {
    case .none: break
    case .tcp4(let ecn): bytes[1] = 1 | (ecn ? Self.ecn : 0)
    case .tcp6(let ecn): bytes[1] = 4 | (ecn ? Self.ecn : 0)
    case .udpFragments: bytes[1] = 3
    case .udp: bytes[1] = 5
    }
    bytes[2] = UInt8(truncatingIfNeeded: offloads.headerLength)
    bytes[3] = UInt8(truncatingIfNeeded: offloads.headerLength >> 8)
    bytes[4] = UInt8(truncatingIfNeeded: offloads.segmentSize)
    bytes[5] = UInt8(truncatingIfNeeded: offloads.segmentSize >> 8)
    return bytes
  }
}
