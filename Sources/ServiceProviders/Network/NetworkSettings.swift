// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// What the guest and the adapter agree on at the moment. The provider changes it; channels and whoever brings frames act
/// by it.
public struct NetworkSettings: Sendable {
  /// nil: not negotiated.
  public internal(set) var version: NVSPVersion?
  /// Whether RNDIS has been initialised and not halted.
  public internal(set) var isInitialized = false
  public internal(set) var address: EthernetAddress
  /// `none`: the guest wants nothing, its interface is down.
  public internal(set) var filter = NetworkPacketFilter.none
  /// Groups for `filter.multicast`.
  public internal(set) var groups: [EthernetAddress] = []
  /// Bytes of a frame without its Ethernet header and tags.
  public internal(set) var mtu: UInt32 = 1500
  /// Frames longer than the MTU, with segments of TCP in them, may be received. False: cut them first.
  ///
  /// With it go checksums that are still to be completed: Linux gives coalescing up when it forwards frames, and only
  /// then does it matter that what it was told is good is not in the frame.
  public internal(set) var acceptsCoalesced = false
  /// nil: everything goes to the first channel.
  public internal(set) var scaling: NetworkScaling?

  var receive: NetworkReceiveArea?
  var send: NetworkSendArea?

  /// Whether frames can be received.
  public var isReceiving: Bool { isInitialized && receive != nil && filter != .none }

  /// The same, with lists of pages in memory of their own. Every look at one counts a reference to it, in memory that
  /// channels at work at once would otherwise share.
  func apart() -> NetworkSettings {
    var copy = self
    if let buffer = receive?.buffer { copy.receive?.buffer = buffer.apart() }
    if let buffer = send?.buffer { copy.send?.buffer = buffer.apart() }
    return copy
  }

  /// Whether the guest wants a frame with this destination.
  public func wants(_ destination: EthernetAddress) -> Bool {
    if filter.contains(.promiscuous) { return true }
    if !destination.isMulticast { return filter.contains(.directed) && destination == address }
    if destination.isBroadcast { return filter.contains(.broadcast) }
    return filter.contains(.allMulticast) || filter.contains(.multicast) && groups.contains(destination)
  }
}

/// The receive buffer, cut into sections of one size. Each channel has its own share of them.
struct NetworkReceiveArea: Sendable {
  /// Counts the connections, so that a channel knows a new one.
  var number: UInt32
  var id: UInt16
  var buffer: NetworkBuffer
  var sectionSize: UInt32
  var sections: UInt32
  /// Sections of the first channel that only control messages get; channels that the others are shared by.
  var reserved: UInt32
  var shares: UInt16

  /// Bytes of a section in front of the frame: the packet and five records.
  static let headerSize: UInt32 = 128
  /// Quirk `receive-footer`: some Windows guests cannot use the last 36 bytes of a section.
  private static let footerSize: UInt32 = 36
  private static let maximumSections: UInt64 = 65536

  /// nil: too small for one control message and one frame.
  init?(_ buffer: NetworkBuffer, id: UInt16, number: UInt32, mtu: UInt32, channels: UInt16) {
    // Room for control messages, however short the frames are.
    let size = max(1024, (Self.headerSize + mtu + 18 + Self.footerSize + 63) & ~63)
    let count = min(buffer.byteCount / UInt64(size), Self.maximumSections, UInt64(UInt32.max) / UInt64(size))
    guard count >= 2 else { return nil }
    self.number = number
    self.id = id
    self.buffer = buffer
    sectionSize = size
    sections = UInt32(count)
    reserved = max(1, min(16, sections / 8))
    shares = UInt16(max(1, min(UInt32(channels), (sections - reserved) / 8)))
  }

  /// Bytes of a frame, or of a part of one, in a section.
  var capacity: UInt32 { sectionSize - Self.headerSize - Self.footerSize }

  /// First section of a channel, and how many it has. The first channel's reserve is in front of its share.
  func share(of channel: UInt16) -> (first: UInt32, count: UInt32) {
    guard channel < shares else { return (0, 0) }
    let each = (sections - reserved) / UInt32(shares)
    if channel == 0 { return (0, reserved + each) }
    return (reserved + UInt32(channel) * each, each)
  }
}

/// The send buffer, cut into sections.
struct NetworkSendArea: Sendable {
  var buffer: NetworkBuffer
  var sectionSize: UInt32
  var sections: UInt32

  /// What Hyper-V answers, and Linux expects.
  static let sectionSize: UInt32 = 6144

  /// nil: not even one.
  init?(_ buffer: NetworkBuffer) {
    sectionSize = Self.sectionSize
    sections = UInt32(clamping: buffer.byteCount / UInt64(Self.sectionSize))
    if sections == 0 { return nil }
    self.buffer = buffer
  }
}
