// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

// Sense and nonsense of what the guest wants done with a frame.

extension TransmitFrame {
  /// The head of a message, from what was copied.
  @usableFromInline
  func message(available: UInt64) -> RNDISPacket? {
    do throws(WireError) {
      return try RNDISPacket(decoding: unsafe words.span.bytes, available: available)
    } catch {
      return nil
    }
  }

  /// Its records.
  @usableFromInline
  func information(_ count: Int) -> PacketInformation? {
    do throws(WireError) {
      return try PacketInformation(decoding: unsafe words.span.bytes.extracting(first: count))
    } catch {
      return nil
    }
  }

  @usableFromInline
  mutating func begin(byteCount: Int, _ information: PacketInformation) {
    self.byteCount = byteCount
    headerByteCount = 0
    offloads = TransmitOffloads()
    tag = information.vlan?.tag
    hash = information.hash
  }

  @usableFromInline
  mutating func extended(to count: Int) { headerByteCount = count }

  @usableFromInline
  mutating func look() { layout = FrameLayout(header) }

  /// Bytes behind the header that no segment has named.
  @usableFromInline var remaining: Int {
    get { byteCount - headerByteCount - named }
    set { named = byteCount - headerByteCount - newValue }
  }

  /// Decides what is to be done with the frame, and fills in what the guest left out of its headers. The result is how
  /// many bytes of the header that takes: more than there are means to ask again with them; -1 that it makes no sense.
  @usableFromInline
  mutating func resolve(_ information: PacketInformation, mtu: UInt32) -> Int {
    named = 0
    if let large = information.largeSend {
      let needed = segment(large)
      if needed != 0 { return needed }
    }
    guard byteCount - layout.networkOffset <= Int(mtu) else { return -1 }
    guard let wanted = information.checksum.map({ TransmitChecksum(rawValue: $0) }) else { return 0 }
    return complete(wanted)
  }

  /// 0: nothing to be cut after all; its checksum is asked for then.
  private mutating func segment(_ large: LargeSend) -> Int {
    let transport = large.transportOffset > 0 ? large.transportOffset : layout.transportOffset
    guard large.segmentSize > 0, transport >= 34, transport + 20 <= byteCount, transport + 20 <= Self.maximumHeader
    else {
      return -1
    }
    if transport + 20 > headerByteCount { return transport + 20 }
    guard layout.transportOffset == transport, layout.isTCP, !layout.isFragment,
      large.isVersion2 ? large.isIPv6 == (layout.network == .ipv6) : layout.network == .ipv4
    else { return -1 }
    let size = transport + Int(byte(transport + 12) >> 4) * 4
    guard size >= transport + 20, size <= byteCount, size <= Self.maximumHeader else { return -1 }
    if size > headerByteCount { return size }
    guard byteCount - layout.networkOffset <= 65535 + (layout.network == .ipv6 ? 40 : 0) else { return -1 }
    fillIn(transport)
    offloads.checksumStart = UInt16(truncatingIfNeeded: transport)
    offloads.checksumOffset = 16
    if byteCount - size > large.segmentSize {
      guard large.segmentSize <= 65535 else { return -1 }
      offloads.segmentSize = UInt16(truncatingIfNeeded: large.segmentSize)
      offloads.headerSize = UInt16(truncatingIfNeeded: size)
      offloads.isIPv6 = layout.network == .ipv6
      return size
    }
    // One segment: sent as it is, if it fits.
    return 0
  }

  /// Lengths, the IPv4 header's checksum and the sum of the pseudo header: NDIS has the first two zero and the last
  /// without the length.
  private mutating func fillIn(_ transport: Int) {
    let at = layout.networkOffset
    var pseudo = InternetChecksum()
    let length = byteCount - transport
    if layout.network == .ipv4 {
      set(UInt16(truncatingIfNeeded: byteCount - at), at: at + 2)
      completeIPHeader()
      pseudo.add(bytes(at + 12, 8))
    } else {
      set(UInt16(truncatingIfNeeded: byteCount - at - 40), at: at + 4)
      pseudo.add(bytes(at + 8, 32))
    }
    if layout.hasExtensions {
      // The final destination may be in a routing header: the guest's sum knows it, and lacks the length.
      pseudo = InternetChecksum()
      pseudo.add(bytes(transport + 16, 2))
    } else {
      pseudo.add(bigEndian: UInt16(layout.transport))
    }
    pseudo.add(bigEndian: UInt16(truncatingIfNeeded: length))
    set(pseudo.partial, at: transport + 16)
  }

  private mutating func completeIPHeader() {
    let at = layout.networkOffset
    set(0, at: at + 10)
    var sum = InternetChecksum()
    sum.add(bytes(at, Int(byte(at) & 15) * 4))
    set(sum.value, at: at + 10)
  }

  private mutating func complete(_ wanted: TransmitChecksum) -> Int {
    if wanted.wantsIPHeader {
      guard layout.network == .ipv4 else { return -1 }
      let end = layout.networkOffset + Int(byte(layout.networkOffset) & 15) * 4
      guard end <= byteCount else { return -1 }
      if end > headerByteCount { return end }
      completeIPHeader()
    }
    guard wanted.wantsTCP || wanted.wantsUDP else { return 0 }
    let transport = wanted.transportOffset > 0 ? wanted.transportOffset : layout.transportOffset
    let offset = wanted.wantsTCP ? 16 : 6
    // Behind an Ethernet header and the shorter IP header at least.
    guard transport >= 34, transport + offset + 2 <= byteCount, transport + offset + 2 <= Self.maximumHeader else {
      return -1
    }
    if transport + offset + 2 > headerByteCount { return transport + offset + 2 }
    offloads.checksumStart = UInt16(truncatingIfNeeded: transport)
    offloads.checksumOffset = UInt16(truncatingIfNeeded: offset)
    return 0
  }

  // MARK: Bytes of the header, which are there

  private func byte(_ offset: Int) -> UInt8 {
    unsafe words.span.bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  @_lifetime(borrow self)
  private func bytes(_ offset: Int, _ count: Int) -> RawSpan {
    unsafe words.span.bytes.extracting(offset..<offset + count)
  }

  private mutating func set(_ value: UInt16, at offset: Int) {
    var span = words.mutableSpan
    var bytes = unsafe span.mutableBytes
    do throws(WireError) {
      try bytes.write(value.byteSwapped, at: offset)
    } catch {
      preconditionFailure("a header is longer than its copy")
    }
  }
}
