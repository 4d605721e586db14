// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import NetworkWalk
import ServiceProviders
import Testing
import VMBus

/// Checksums and segments: what a guest leaves to the host, and what the host tells the guest.
@Suite struct NetworkOffloadTests {
  private static func big(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }

  /// TCP over IPv4 as netvsc hands it over for segmentation: length and header checksum are 0, the TCP checksum is the
  /// pseudo header's sum without the length.
  static func tcp4(payload: Int, options: Int = 12, ipOptions: Int = 0, length: Int = 0) -> [UInt8] {
    let ihl = UInt8((20 + ipOptions) / 4)
    var bytes = Array(frame(14).prefix(12)) + [0x08, 0x00]
    bytes += [0x40 | ihl, 0] + big(length) + [0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
    bytes += [UInt8](repeating: 1, count: ipOptions)
    // 10.0.0.1 + 10.0.0.2 + 6
    bytes += [
      0x12, 0x34, 0x00, 0x50, 0, 0, 0, 1, 0, 0, 0, 2, UInt8((20 + options) / 4) << 4, 0x18, 1, 0, 0x14, 0x09, 0, 0,
    ]
    bytes += [UInt8](repeating: 1, count: options)
    bytes += (0..<payload).map { UInt8(truncatingIfNeeded: $0 * 3) }
    return bytes
  }

  static func tcp6(payload: Int, extensions: Int = 0) -> [UInt8] {
    var bytes = Array(frame(14).prefix(12)) + [0x86, 0xDD, 0x60, 0, 0, 0, 0, 0, extensions > 0 ? 60 : 6, 64]
    bytes += [0xFD] + [UInt8](repeating: 0, count: 14) + [1]
    bytes += [0xFD] + [UInt8](repeating: 0, count: 14) + [2]
    for index in 0..<extensions { bytes += [index == extensions - 1 ? 6 : 60, 0, 1, 4, 0, 0, 0, 0] }
    bytes += [0x12, 0x34, 0, 0x50, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0xFA, 0x0A, 0, 0]
    bytes += (0..<payload).map { UInt8(truncatingIfNeeded: $0 * 5) }
    return bytes
  }

  private func transmit(
    _ bytes: [UInt8], _ fill: (inout PacketInformation) -> Void, mtu: UInt32 = 1500
  ) -> (NVSPStatus?, SentFrame?) {
    let guest = ScriptedNetworkGuest.ready(mtu: mtu)
    var information = PacketInformation()
    fill(&information)
    let status = guest.transmit(ScriptedNetworkGuest.bytes(bytes, information))
    let sent = guest.sent.last
    #expect(guest.isAlive())
    return (status, sent)
  }

  private func word(_ bytes: [UInt8], _ at: Int) -> Int { Int(bytes[at]) << 8 | Int(bytes[at + 1]) }

  private func sum(_ bytes: some Collection<UInt8>) -> UInt16 {
    var sum = InternetChecksum()
    let bytes = Array(bytes)
    sum.add(unsafe bytes.span.bytes)
    return sum.partial
  }

  @Test(arguments: [1449, 1460, 9000, 60000, 65535 - 52]) func largeSendOverIPv4(_ payload: Int) {
    for isVersion2 in [true, false] {
      let bytes = Self.tcp4(payload: payload)
      let (status, sent) = transmit(bytes) {
        var large = LargeSend(segmentSize: 1448, transportOffset: 34, isIPv6: false)
        if !isVersion2 { large.rawValue &= ~0x4000_0000 }
        $0.largeSend = large
      }
      #expect(status == .success)
      guard let sent else { return }
      #expect(sent.offloads.segmentSize == 1448 && sent.offloads.headerSize == 66 && !sent.offloads.isIPv6)
      #expect(sent.offloads.checksumStart == 34 && sent.offloads.checksumOffset == 16)
      // Filled in: total length, header checksum, the pseudo header's length.
      #expect(word(sent.bytes, 16) == bytes.count - 14)
      #expect(sum(sent.bytes[14..<34]) == 0xFFFF)
      let pseudo = sent.bytes[26..<34] + [0, 6] + Self.big(bytes.count - 34)
      #expect(word(sent.bytes, 50) == Int(sum(pseudo)))
      #expect(sent.bytes.dropFirst(52) == bytes.dropFirst(52))
    }
  }

  @Test(arguments: [0, 1, 3]) func largeSendOverIPv6(_ extensions: Int) {
    let bytes = Self.tcp6(payload: 5000, extensions: extensions)
    let transport = 54 + 8 * extensions
    let (status, sent) = transmit(bytes) {
      $0.largeSend = LargeSend(segmentSize: 1440, transportOffset: transport, isIPv6: true)
    }
    #expect(status == .success)
    guard let sent else { return }
    #expect(sent.offloads.isIPv6 && sent.offloads.segmentSize == 1440)
    #expect(Int(sent.offloads.headerSize) == transport + 20)
    #expect(word(sent.bytes, 18) == bytes.count - 54)
    let pseudo = sent.bytes[22..<54] + [0, 6] + Self.big(bytes.count - transport)
    #expect(word(sent.bytes, transport + 16) == Int(sum(pseudo)))
  }

  /// Header options up to the longest header, in and beyond the part that is copied at first.
  @Test func longHeaders() {
    let bytes = Self.tcp4(payload: 4000, options: 40, ipOptions: 40)
    let (status, sent) = transmit(bytes) {
      $0.largeSend = LargeSend(segmentSize: 1000, transportOffset: 74, isIPv6: false)
    }
    #expect(status == .success && sent?.offloads.headerSize == 134)
    let six = Self.tcp6(payload: 4000, extensions: 7)
    let (again, other) = transmit(six) {
      $0.largeSend = LargeSend(segmentSize: 1000, transportOffset: 110, isIPv6: true)
    }
    #expect(again == .success && other?.offloads.headerSize == 130)
  }

  /// Each makes no sense; the frame is refused, nothing else is harmed.
  @Test func largeSendsThatMakeNoSense() {
    func refused(_ bytes: [UInt8], _ large: LargeSend, _ what: Comment) {
      let (status, sent) = transmit(bytes) { $0.largeSend = large }
      #expect(status == .invalidPacket && sent == nil, what)
    }
    let good = Self.tcp4(payload: 5000)
    refused(good, LargeSend(segmentSize: 0, transportOffset: 34, isIPv6: false), "segments of nothing")
    refused(
      good, LargeSend(segmentSize: 0xFFFFF, transportOffset: 34, isIPv6: false), "one segment, too long to be sent")
    refused(good, LargeSend(segmentSize: 1448, transportOffset: 0x3FF, isIPv6: false), "header beyond what is copied")
    refused(good, LargeSend(segmentSize: 1448, transportOffset: 33, isIPv6: false), "header inside IP's")
    refused(good, LargeSend(segmentSize: 1448, transportOffset: 38, isIPv6: false), "header elsewhere")
    refused(good, LargeSend(segmentSize: 1448, transportOffset: 34, isIPv6: true), "IPv4 as IPv6")
    var bytes = good
    bytes[23] = 17
    refused(bytes, LargeSend(segmentSize: 1448, transportOffset: 34, isIPv6: false), "UDP")
    bytes = good
    bytes[46] = 0x40
    refused(bytes, LargeSend(segmentSize: 1448, transportOffset: 34, isIPv6: false), "a short TCP header")
    bytes = good
    bytes[20] = 0x20
    refused(bytes, LargeSend(segmentSize: 1448, transportOffset: 34, isIPv6: false), "a fragment")
    refused(
      Array(good.prefix(50)), LargeSend(segmentSize: 1448, transportOffset: 34, isIPv6: false), "header beyond the data"
    )
    refused(
      Self.tcp4(payload: 65535 - 51), LargeSend(segmentSize: 1448, transportOffset: 34, isIPv6: false), "64 KiB and one"
    )
    // L2, L3 and L4 headers of more than 255 bytes.
    var long = Self.tcp6(payload: 5000, extensions: 1)
    long[55] = 25
    refused(long, LargeSend(segmentSize: 1448, transportOffset: 262, isIPv6: true), "headers of 282 bytes")
    refused(
      Self.tcp6(payload: 5000, extensions: 9), LargeSend(segmentSize: 1448, transportOffset: 54 + 72, isIPv6: true),
      "more extensions than are followed")
    refused(frame(5000), LargeSend(segmentSize: 1448, transportOffset: 34, isIPv6: false), "no IP")
  }

  /// Segments as long as the frame: there is one, and it is sent as it is.
  @Test func segmentLongerThanTheFrame() {
    let bytes = Self.tcp4(payload: 1000)
    let (status, sent) = transmit(bytes) {
      $0.largeSend = LargeSend(segmentSize: 1448, transportOffset: 34, isIPv6: false)
    }
    #expect(status == .success && sent?.offloads.segmentSize == 0 && sent?.offloads.checksumStart == 34)
    #expect(sent.map { word($0.bytes, 16) } == bytes.count - 14)
  }

  @Test func checksums() {
    let bytes = Self.tcp4(payload: 100, length: 152)
    for (tcp, offset) in [(true, 16), (false, 6)] {
      // With and without an offset said.
      for transport in [34, 0] {
        let (status, sent) = transmit(bytes) {
          $0.checksum =
            TransmitChecksum(isIPv6: false, tcp: tcp, udp: !tcp, ipHeader: true, transportOffset: transport).rawValue
        }
        #expect(status == .success && sent?.offloads.checksumStart == 34)
        #expect(sent?.offloads.checksumOffset == UInt16(offset) && sent?.offloads.segmentSize == 0)
        #expect(sent.map { sum($0.bytes[14..<34]) } == 0xFFFF)
      }
    }
    let six = Self.tcp6(payload: 10)
    let (status, sent) = transmit(six) {
      $0.checksum = TransmitChecksum(isIPv6: true, tcp: true, transportOffset: 54).rawValue
    }
    #expect(status == .success && sent?.offloads.checksumStart == 54 && sent?.bytes == six)
    let (plain, frame) = transmit(six) { $0.checksum = TransmitChecksum(isIPv6: true, transportOffset: 54).rawValue }
    #expect(plain == .success && frame?.offloads == TransmitOffloads())
  }

  @Test func checksumsThatMakeNoSense() {
    func refused(_ bytes: [UInt8], _ checksum: TransmitChecksum, _ what: Comment) {
      let (status, sent) = transmit(bytes) { $0.checksum = checksum.rawValue }
      #expect(status == .invalidPacket && sent == nil, what)
    }
    let tcp = TransmitChecksum(isIPv6: false, tcp: true, transportOffset: 34)
    refused(frame(13), tcp, "a frame of 13 bytes")
    refused(frame(14), tcp, "a frame of 14 bytes")
    refused(Array(Self.tcp4(payload: 0).prefix(51)), tcp, "the checksum's second byte is missing")
    refused(Self.tcp4(payload: 900), TransmitChecksum(isIPv6: false, tcp: true, transportOffset: 1023), "far away")
    refused(Self.tcp4(payload: 9), TransmitChecksum(isIPv6: false, tcp: true, transportOffset: 12), "inside Ethernet")
    refused(frame(100), TransmitChecksum(isIPv6: false, ipHeader: true, transportOffset: 0), "no IP header")
    refused(frame(100), TransmitChecksum(isIPv6: false, tcp: true, transportOffset: 0), "nothing to find it by")
    var short = Array(Self.tcp4(payload: 0, ipOptions: 40).prefix(50))
    short[23] = 99
    refused(
      short, TransmitChecksum(isIPv6: false, ipHeader: true, transportOffset: 0), "an IP header that is not there")
  }

  // MARK: To the guest

  private func information(_ message: [UInt8]?) -> PacketInformation? {
    guard let message,
      let packet = try? RNDISPacket(decoding: unsafe message.span.bytes, available: UInt64(message.count)),
      packet.informationByteCount > 0
    else { return nil }
    let records = Array(message[packet.informationPlace..<packet.informationPlace + Int(packet.informationByteCount)])
    return try? PacketInformation(decoding: unsafe records.span.bytes)
  }

  @Test func receiveChecksums() throws {
    let guest = ScriptedNetworkGuest.ready()
    let udp = Self.tcp4(payload: 10).enumerated().map { $0 == 23 ? 17 : $1 }
    for (bytes, checksum, wanted) in [
      (Self.tcp4(payload: 10), .good, ReceiveChecksum.tcpGood.union(.ipGood)), (udp, .good, .udpGood.union(.ipGood)),
      (Self.tcp6(payload: 10), .good, .tcpGood), (Self.tcp4(payload: 10), .unknown, nil), (frame(60), .good, nil),
    ] as [([UInt8], ReceiveFrame.Checksum, ReceiveChecksum?)] {
      try guest.host.bring(bytes, to: 0, checksum: checksum)
      guest.host.serve(0)
      let inbound = guest.take()
      #expect(inbound.count == 1 && information(inbound.first?.messages.first)?.checksum == wanted?.rawValue)
    }
    // Not while the guest might forward what it gets.
    #expect(throws: ReceiveRefusal.checksumNeeded) {
      try guest.host.bring(Self.tcp4(payload: 10), to: 0, checksum: .partial)
    }
    #expect(guest.set(.offloadParameters, Self.coalescing(2)) == .success)
    try guest.host.bring(Self.tcp4(payload: 10), to: 0, checksum: .partial)
    guest.host.serve(0)
    #expect(
      information(guest.take().first?.messages.first)?.checksum
        == ReceiveChecksum.tcpGood.union(.tcpValueInvalid).union(.ipGood).rawValue)
    #expect(guest.isAlive())
  }

  static func coalescing(_ value: UInt8) -> [UInt8] {
    [0x80, 3, 28, 0] + [UInt8](repeating: 0, count: 18) + [value, value] + [0, 0, 0, 0]
  }

  /// What Linux 6.1 takes: parts in one packet, the first with everything, numbered alike; nothing longer than a section.
  @Test(arguments: [1500, 9000] as [UInt32]) func coalescedFrames(_ mtu: UInt32) throws {
    let guest = ScriptedNetworkGuest.ready(mtu: mtu, receivePages: 200)
    let long = frame(65549)
    #expect(throws: ReceiveRefusal.self) { try guest.host.bring(long, to: 0) }
    #expect(guest.set(.offloadParameters, Self.coalescing(2)) == .success)
    #expect(guest.host.settings?.acceptsCoalesced == true)
    for bytes in [frame(60), long, frame(Int(mtu) + 14), frame(Int(mtu) + 19), frame(20000)] {
      try guest.host.bring(bytes, to: 0, tag: 5, hash: 6)
    }
    guest.host.serve(0)
    var frames: [[UInt8]] = []
    var parts: [UInt8] = []
    for packet in guest.take() {
      #expect(packet.messages.count <= 64)
      var isInside = false
      for message in packet.messages {
        #expect(message.count <= guest.host.provider.sectionSize)
        let packet = try RNDISPacket(decoding: unsafe message.span.bytes, available: UInt64(message.count))
        let data = message[packet.dataPlace..<packet.dataPlace + Int(packet.dataByteCount)]
        let information = information(message)
        let part = information?.part
        if part?.isPart ?? false, part?.isFirst == false {
          #expect(isInside && information?.vlan == nil && information?.hash == nil)
        } else {
          #expect(!isInside && information?.vlan?.tag == 5 && information?.hash == 6)
          parts = []
        }
        parts += data
        isInside = part.map { $0.isPart && !$0.isLast } ?? false
        if !isInside { frames.append(parts) }
      }
      #expect(!isInside)
    }
    #expect(frames == [frame(60), long, frame(Int(mtu) + 14), frame(Int(mtu) + 19), frame(20000)])
    #expect(guest.set(.offloadParameters, Self.coalescing(1)) == .success)
    #expect(guest.host.settings?.acceptsCoalesced == false && guest.isAlive())
  }

  @Test func coalescingIsForWhoSaidSo() {
    let old = ScriptedNetworkGuest(configuration(.v6))
    old.connect(.v6)
    #expect(old.set(.offloadParameters, Self.coalescing(2)) == .success)
    #expect(old.host.settings?.acceptsCoalesced == false)
    #expect(throws: ReceiveRefusal.self) { try old.host.bring(frame(3000), to: 0) }
    #expect(old.isAlive())
  }
}
