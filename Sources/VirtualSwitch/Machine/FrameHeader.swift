// SPDX-License-Identifier: Apache-2.0

/// The first bytes of a frame, read for the switch's questions.
struct FrameHeader: ~Escapable {
  let bytes: RawSpan
  let byteCount: Int
  /// The outermost 802.1Q tag: beside the frame, or in its bytes.
  let tag: VLANTag?
  let hasTagInBytes: Bool
  /// Where the ethertype behind that tag is.
  let typeOffset: Int

  @_lifetime(copy bytes)
  init(_ bytes: RawSpan, byteCount: Int, tag: VLANTag?) {
    self.bytes = bytes
    self.byteCount = byteCount
    hasTagInBytes = tag == nil && bytes.word(12) == VLANTag.etherType
    self.tag = hasTagInBytes ? VLANTag(rawValue: bytes.word(14)) : tag
    typeOffset = hasTagInBytes ? 16 : 12
  }

  var destination: MACAddress { bytes.address(0) }
  var source: MACAddress { bytes.address(6) }

  /// All that every frame has is there.
  var isComplete: Bool {
    let needed = typeOffset + 2
    return byteCount >= needed && bytes.byteCount >= needed && byteCount <= Switch.maximumFrame
      && bytes.byteCount <= byteCount
  }

  private static func isTag(_ type: UInt16) -> Bool {
    type == VLANTag.etherType || type == VLANTag.serviceEtherType || type == 0x9100
  }

  /// Behind the tag that was judged (or where there was none) stands one that a switch further on may judge.
  var hidesTag: Bool { Self.isTag(bytes.word(typeOffset)) }

  /// Against a port's MTU. A second tag is not the payload's; a segmented frame counts as its segments, which are
  /// not known to the byte here.
  func fits(_ maximumPayload: Int, _ offloads: FrameOffloads) -> Bool {
    if offloads.isSegmented {
      return Int(offloads.segmentSize) + (offloads.segmentation == .udpFragments ? 20 : 28) <= maximumPayload
    }
    return byteCount - typeOffset - 2 - (hidesTag ? 4 : 0) <= maximumPayload
  }

  /// The VLAN that the frame is in when it comes from a port of this mode; `nil`: it may not.
  func vlan(for mode: VLANMode) -> VLANID? {
    let id = tag?.id ?? .none
    switch mode {
    case .untagged: return id == .none && !hidesTag ? VLANID.none : nil
    case .access(let own): return id == .none && !hidesTag ? own : nil
    case .trunk(_, let native):
      guard id != .reserved else { return nil }
      guard id != .none else { return native }
      return mode.carries(id) ? id : nil
    }
  }

  /// Ethertype and offset of what is behind all tags.
  private var payload: (type: UInt16, offset: Int) {
    var offset = typeOffset
    // Two more tags than the judged one at most: nobody looks behind a longer row.
    for _ in 0..<2 where Self.isTag(bytes.word(offset)) { offset += 4 }
    return (bytes.word(offset), offset + 2)
  }

  /// A router's advertisement or redirect (ICMPv6 134 and 137, ICMPv4 9 and 5), or a first fragment that hides which
  /// protocol it begins (RFC 7113).
  var isRouterMessage: Bool {
    let (type, offset) = payload
    switch type {
    case 0x0800:
      guard bytes.byte(offset + 9) == 1, isFirstFragment4(offset) else { return false }
      let start = offset + Int(bytes.byte(offset) & 0xf) * 4
      guard start < bytes.byteCount else { return start < byteCount }
      return bytes.byte(start) == 5 || bytes.byte(start) == 9
    case 0x86dd:
      switch upperLayer6(offset) {
      case .at(let start, 58):
        guard start < bytes.byteCount else { return true }
        return bytes.byte(start) == 134 || bytes.byte(start) == 137
      case .at, .laterFragment: return false
      case .hidden: return true
      }
    default: return false
    }
  }

  /// What a DHCP server sends: from UDP port 67 (IPv4) or 547 (IPv6) .
  var isServerMessage: Bool {
    let (type, offset) = payload
    switch type {
    case 0x0800:
      guard bytes.byte(offset + 9) == 17, isFirstFragment4(offset) else { return false }
      let start = offset + Int(bytes.byte(offset) & 0xf) * 4
      guard start + 2 <= bytes.byteCount else { return start + 2 <= byteCount }
      return bytes.word(start) == 67
    case 0x86dd:
      switch upperLayer6(offset) {
      case .at(let start, 17):
        guard start + 2 <= bytes.byteCount else { return true }
        return bytes.word(start) == 547
      case .at, .laterFragment: return false
      case .hidden: return true
      }
    default: return false
    }
  }

  private func isFirstFragment4(_ offset: Int) -> Bool { bytes.word(offset + 6) & 0x1fff == 0 }

  private enum UpperLayer {
    case at(Int, UInt8)
    case laterFragment
    /// The chain of headers goes on beyond what can be seen.
    case hidden
  }

  private func upperLayer6(_ offset: Int) -> UpperLayer {
    var next = bytes.byte(offset + 6)
    var place = offset + 40
    for _ in 0..<16 {
      switch next {
      case 0, 43, 60, 135, 139, 140:
        guard place + 8 <= bytes.byteCount else { return .hidden }
        next = bytes.byte(place)
        place += (Int(bytes.byte(place + 1)) + 1) * 8
      case 51:
        guard place + 8 <= bytes.byteCount else { return .hidden }
        next = bytes.byte(place)
        place += (Int(bytes.byte(place + 1)) + 2) * 4
      case 44:
        guard place + 8 <= bytes.byteCount else { return .hidden }
        guard bytes.word(place + 2) & 0xfff8 == 0 else { return .laterFragment }
        next = bytes.byte(place)
        place += 8
      default: return .at(place, next)
      }
    }
    return .hidden
  }
}
