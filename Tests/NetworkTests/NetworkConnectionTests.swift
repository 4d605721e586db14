// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import NetworkWalk
import ServiceClients
import ServiceProviders
import Testing

/// Every version that Linux 6.1 to 6.12 and DPDK know.
let versions: [NVSPVersion] = [.v1, .v2, .v4, .v5, .v6, .v6_1]

func configuration(
  _ version: NVSPVersion = .v6_1, subChannels: UInt16 = 0, maximumMTU: UInt32 = 9000, changes: Bool = false
) -> NetworkConfiguration {
  NetworkConfiguration(
    address: NetworkPair.address, allowsAddressChange: changes, maximumMTU: maximumMTU, maximumVersion: version,
    maximumSubChannels: subChannels)
}

/// Both ends in memory, through real rings.
@Suite struct NetworkConnectionTests {
  @Test(arguments: versions) func connects(_ version: NVSPVersion) {
    let pair = NetworkPair(configuration(version, subChannels: 3), subChannels: 3)
    #expect(pair.connect())
    #expect(pair.guest.problem == nil)
    #expect(pair.guest.client.version == version && pair.host.provider.settings.version == version)
    #expect(pair.guest.client.address == NetworkPair.address)
    #expect(pair.guest.client.isLinkUp && pair.guest.client.mtu == 1500)
    #expect(pair.guest.client.faults == 0)
    // Hyper-V's section at 1500 bytes.
    #expect(pair.guest.client.receiveSection.byteCount == 1728 && pair.guest.client.sendSectionSize == 6144)
    let hasChannels = version >= .v5
    #expect(pair.host.ports.count == (hasChannels ? 4 : 1))
    #expect((pair.host.settings?.scaling != nil) == hasChannels)
    #expect(pair.guest.client.linkSpeed == (hasChannels ? 10_000_000_000 : 0))
    #expect(pair.host.settings?.acceptsCoalesced == (version == .v6_1))
    #expect(pair.guest.client.offloads.transmitChecksums && pair.guest.client.offloads.largeSendIPv6 == 65535)
    for port in pair.host.ports.values {
      #expect(port.channel.counters.malformed == 0 && port.channel.counters.refused <= 5)
    }
    let events = pair.guest.takeEvents()
    #expect(events.contains(.ready) && events.contains(.filterSet))
    #expect(events.contains(.scalingSet) == hasChannels)
    #expect(events.contains(.sendTable(NVSPSendTable(spreadOver: 4))) == hasChannels)
    #expect(pair.guest.outstanding == 0)
  }

  /// Each way to send, back to back, and each kind of frame back.
  @Test(arguments: versions) func framesBothWays(_ version: NVSPVersion) throws {
    let pair = NetworkPair(configuration(version))
    #expect(pair.connect())
    var expected: [SentFrame] = []
    for (number, place) in [NetworkSendPlace.section, .headerInSection, .ranges].enumerated() {
      for count in [14, 60, 127, 128, 129, 1000, 1514] {
        let bytes = frame(count, seed: number)
        var information = PacketInformation()
        information.vlan = NetworkVLAN(tag: 0xA123)
        information.hash = UInt32(count)
        #expect(pair.guest.send([(bytes, information)], on: 0, place))
        expected.append(SentFrame(bytes: bytes, tag: 0xA123, hash: UInt32(count)))
        pair.settle()
      }
    }
    #expect(pair.host.ports[0]?.sent == expected)
    #expect(pair.guest.failed == 0 && pair.guest.ended == expected.count)

    var received: [ReceivedFrame] = []
    for count in [14, 60, 128, 1000, 1514, 1518] {
      let bytes = frame(count, seed: 9)
      try pair.host.bring(bytes, to: 0, tag: 0x0FFF, hash: 77)
      received.append(ReceivedFrame(bytes: bytes, tag: 0x0FFF, hash: 77))
    }
    pair.settle()
    #expect(pair.guest.ports[0]?.received == received)
    #expect(pair.guest.problem == nil)
  }

  @Test func severalFramesInOneMessage() {
    let pair = NetworkPair()
    #expect(pair.connect())
    let frames = (0..<8).map { (frame(60 + $0, seed: $0), PacketInformation()) }
    #expect(pair.guest.send(frames, on: 0, .section))
    pair.settle()
    #expect(pair.host.ports[0]?.sent == frames.map { SentFrame(bytes: $0.0) })
    #expect(pair.guest.ended == 1 && pair.guest.failed == 0)
  }
}

/// A frame to the adapter itself, of a type that nobody interprets.
func frame(_ count: Int, seed: Int = 0) -> [UInt8] {
  var bytes: [UInt8] = [0x00, 0x15, 0x5D, 0x01, 0x02, 0x03, 0x02, 0, 0, 0, 0, 1, 0x88, 0xB5]
  while bytes.count < count { bytes.append(UInt8(truncatingIfNeeded: bytes.count &* 7 &+ seed)) }
  return Array(bytes.prefix(count))
}
