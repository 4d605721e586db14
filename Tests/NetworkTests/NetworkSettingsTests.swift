// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import NetworkWalk
import ServiceClients
import ServiceProviders
import Testing
import VMBus

/// RNDIS queries and sets, and what follows from them.
@Suite struct NetworkSettingsTests {
  private func word(_ bytes: [UInt8]) -> UInt32? {
    bytes.count == 4 ? bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) } : nil
  }

  /// What Linux asks, in its order.
  @Test func linuxQueries() {
    let guest = ScriptedNetworkGuest.ready(configuration(subChannels: 3))
    #expect(word(guest.query(.maximumFrameSize).1) == 9000)
    #expect(guest.query(.permanentAddress).1 == [0x00, 0x15, 0x5D, 0x01, 0x02, 0x03])
    #expect(guest.query(.friendlyName).1.starts(with: [0x4E, 0, 0x65, 0]))
    for (revision, size) in [(1, 112), (2, 144), (3, 156), (9, 156)] as [(UInt8, Int)] {
      let (status, bytes) = guest.query(.offloadHardware, [0xA7, revision, UInt8(size), 0])
      #expect(status == .success && bytes.count == size)
      #expect((try? NetworkOffloads(decoding: unsafe bytes.span.bytes))?.transmitChecksums == true)
    }
    #expect(guest.query(.offloadHardware).1.count == 156)
    #expect(word(guest.query(.mediaConnectStatus).1) == 0)
    #expect(word(guest.query(.linkSpeed).1) == 100_000_000)
    let scaling = guest.query(.receiveScaleCapabilities).1
    #expect(
      (try? ReceiveScalingCapabilities(decoding: unsafe scaling.span.bytes)) == ReceiveScalingCapabilities(queues: 4))
    #expect(word(guest.query(.packetFilter).1) == 0x0D)
  }

  @Test func everyOIDIsAnswered() {
    let guest = ScriptedNetworkGuest.ready()
    let (status, list) = guest.query(.supportedList)
    #expect(status == .success && list.count % 4 == 0 && list.count > 100)
    for at in stride(from: 0, to: list.count, by: 4) {
      guard let number = word(Array(list[at..<at + 4])) else { continue }
      let oid = NetworkOID(rawValue: number)
      // Those that can only be set.
      let setOnly: [NetworkOID] = [.receiveScaleParameters, .rndisConfigParameter, .offloadParameters]
      #expect((guest.query(oid).0 == .success) == !setOnly.contains(oid), "\(number)")
    }
    for number: UInt32 in [0, 0x0001_0100, 0x0001_01FF, 0x00FF_0101, 0xFF01_0101, .max] {
      #expect(guest.query(NetworkOID(rawValue: number)).0 == .notSupported)
      #expect(guest.set(NetworkOID(rawValue: number), [1, 2, 3, 4]) == .notSupported)
    }
    // What can be set takes no nonsense.
    for oid: NetworkOID in [.packetFilter, .offloadParameters, .receiveScaleParameters, .rndisConfigParameter] {
      for bytes in [[], [1], [0xFF, 0xFF, 0xFF], [UInt8](repeating: 0xFF, count: 400)] as [[UInt8]] {
        if oid == .packetFilter, bytes.count >= 4 { continue }
        let status = guest.set(oid, bytes)
        #expect(status != .success && status != nil, "\(oid) \(bytes.count)")
      }
    }
    #expect(guest.isAlive())
  }

  @Test func nonsenseIsAnsweredToo() {
    let guest = ScriptedNetworkGuest.ready()
    for type: RNDISMessageType in [.initialize, .query, .set, .keepAlive, .reset] {
      // Type, length, id, and an end.
      var bytes = RNDISMessage.headerSize == 8 ? [UInt8](repeating: 0, count: 32) : []
      bytes[0] = UInt8(truncatingIfNeeded: type.rawValue)
      bytes[4] = 0xFF
      bytes[8] = 77
      let (status, answer) = guest.control(bytes)
      #expect(status == .success && answer?[0] == bytes[0] && answer?[3] == 0x80)
      if type != .reset { #expect(answer?[8] == 77) }
    }
    for bytes in [[UInt8](repeating: 0xFF, count: 40), [UInt8](repeating: 0, count: 8)] {
      let (status, answer) = guest.control(bytes)
      #expect(status == .success && answer == nil)
    }
    // Too long, too short.
    #expect(guest.control([UInt8](repeating: 4, count: 4097)).0 == .failure)
    #expect(guest.control([4, 0, 0, 0]).0 == .failure)
    #expect(guest.isAlive())
  }

  @Test func filters() throws {
    let guest = ScriptedNetworkGuest.ready()
    func wants(_ first: [UInt8]) -> Bool {
      var bytes = frame(60)
      bytes.replaceSubrange(0..<6, with: first)
      defer {
        guest.host.serve(0)
        _ = guest.take()
      }
      return (try? guest.host.bring(bytes, to: 0)) != nil
    }
    let own: [UInt8] = [0x00, 0x15, 0x5D, 0x01, 0x02, 0x03]
    let other: [UInt8] = [0x00, 0x15, 0x5D, 0x01, 0x02, 0x04]
    let group: [UInt8] = [0x01, 0x00, 0x5E, 0x01, 0x02, 0x03]
    let everybody = [UInt8](repeating: 0xFF, count: 6)
    for (filter, wanted) in [
      (0, [false, false, false, false]), (1, [true, false, false, false]), (4, [false, false, true, false]),
      (8, [false, false, false, true]), (0x20, [true, true, true, true]), (0x0D, [true, false, true, true]),
      (2, [false, false, false, false]),
    ] as [(UInt8, [Bool])] {
      #expect(guest.set(.packetFilter, [filter, 0, 0, 0]) == .success)
      #expect([own, other, group, everybody].map(wants) == wanted, "\(filter)")
    }
    // Groups by name.
    #expect(guest.set(.packetFilter, [3, 0, 0, 0]) == .success)
    #expect(guest.set(.multicastList, group) == .success)
    #expect(guest.query(.multicastList).1 == group)
    #expect([own, other, group, everybody].map(wants) == [true, false, true, false])
    #expect(guest.set(.multicastList, own) == .invalidData && guest.set(.multicastList, [1, 2]) == .invalidLength)
    #expect(guest.set(.multicastList, Array(repeatElement(group, count: 65).joined())) == .failure)
    #expect(guest.set(.multicastList, []) == .success && !wants(group))
    #expect(guest.set(.packetFilter, [0x0D, 0, 0, 0]) == .success && guest.isAlive())
  }

  // MARK: Scaling

  private func scaling(
    flags: UInt16 = 0, entries: Int = 128, key: Int = 40, hash: ReceiveHash = .linux, _ channel: (Int) -> UInt32
  ) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 40 + entries * 4 + key)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    let parameters = ReceiveScalingParameters(
      flags: flags, hash: hash, table: RNDISPlace(offset: 40, byteCount: entries * 4),
      key: RNDISPlace(offset: 40 + entries * 4, byteCount: key))
    try? parameters.encode(into: &raw, at: 0)
    for index in 0..<entries { try? raw.write(channel(index), at: 40 + index * 4) }
    for index in 0..<key { try? raw.write(NetworkGuest.keyBytes[index % 40], at: 40 + entries * 4 + index) }
    return bytes
  }

  @Test func tableAndKeyAreHonoured() throws {
    let guest = ScriptedNetworkGuest.ready(configuration(subChannels: 3), receivePages: 200)
    #expect(guest.set(.receiveScaleParameters, scaling { UInt32($0 % 4) }) == .success)
    let found = try #require(guest.host.settings?.scaling)
    // Microsoft's first vector: 66.9.149.187:2794 to 161.142.100.80:1766.
    let bytes: [UInt8] =
      frame(12) + [
        0x08, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 66, 9, 149, 187, 161, 142, 100, 80, 0x0A, 0xEA, 0x06, 0xE6,
      ] + [UInt8](repeating: 0, count: 16)
    let layout = FrameLayout(unsafe bytes.span.bytes)
    let choice = found.select(layout, unsafe bytes.span.bytes)
    #expect(choice?.hash == 0x51CC_C178 && choice?.channel == UInt16(0x51CC_C178 & 127) % 4)
    // Only the table changes; then only the key.
    let table = scaling(flags: ReceiveScalingParameters.keyUnchanged | ReceiveScalingParameters.hashUnchanged, key: 0) {
      _ in 3
    }
    #expect(guest.set(.receiveScaleParameters, table) == .success)
    #expect(guest.host.settings?.scaling?.select(layout, unsafe bytes.span.bytes)?.channel == 3)
    let key = scaling(flags: ReceiveScalingParameters.tableUnchanged, entries: 0) { _ in 0 }
    #expect(guest.set(.receiveScaleParameters, key) == .success)
    #expect(guest.host.settings?.scaling?.select(layout, unsafe bytes.span.bytes)?.channel == 3)
    // Smaller tables repeat.
    #expect(guest.set(.receiveScaleParameters, scaling(entries: 3) { UInt32($0) }) == .success)
    #expect(guest.host.settings?.scaling?.table[127] == 1)
    // What is not IP has no hash.
    let plain = frame(60)
    #expect(guest.host.settings?.scaling?.select(FrameLayout(unsafe plain.span.bytes), unsafe plain.span.bytes) == nil)
    #expect(
      guest.set(.receiveScaleParameters, scaling(flags: ReceiveScalingParameters.disable) { _ in 99 }) == .success)
    #expect(guest.host.settings?.scaling == nil && guest.isAlive())
  }

  @Test func scalingThatMakesNoSense() {
    let guest = ScriptedNetworkGuest.ready(configuration(subChannels: 3), receivePages: 200)
    #expect(guest.set(.receiveScaleParameters, scaling(entries: 0) { _ in 0 }) == .invalidData)
    #expect(guest.set(.receiveScaleParameters, scaling(entries: 129) { _ in 0 }) == .invalidData)
    #expect(guest.set(.receiveScaleParameters, scaling(key: 39) { _ in 0 }) == .invalidData)
    #expect(guest.set(.receiveScaleParameters, scaling(key: 0) { _ in 0 }) == .invalidData)
    #expect(guest.set(.receiveScaleParameters, scaling { _ in 4 }) == .invalidData)
    #expect(guest.set(.receiveScaleParameters, scaling { _ in .max }) == .invalidData)
    #expect(
      guest.set(.receiveScaleParameters, scaling(hash: ReceiveHash(rawValue: 0x1702)) { _ in 0 }) == .notSupported)
    #expect(guest.set(.receiveScaleParameters, Array(scaling { _ in 0 }.dropLast())) == .invalidData)
    // Unchanged, where there is nothing yet.
    #expect(
      guest.set(
        .receiveScaleParameters,
        scaling(
          flags: ReceiveScalingParameters.tableUnchanged | ReceiveScalingParameters.keyUnchanged, entries: 0, key: 0
        ) {
          _ in 0
        }) == .invalidData)
    #expect(guest.host.settings?.scaling == nil && guest.isAlive())
  }

  // MARK: Address

  private func parameter(_ name: String, _ value: [UInt16], type: UInt32 = 2) -> [UInt8] {
    let names = name.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
    let values = value.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
    let words: [UInt32] = [20, UInt32(names.count), type, 20 + UInt32(names.count), UInt32(values.count)]
    return words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } } + names + values
  }

  @Test func addressChanges() throws {
    let guest = ScriptedNetworkGuest.ready(configuration(changes: true))
    #expect(guest.set(.rndisConfigParameter, parameter("NetworkAddress", Array("0a0b0c0d0e0f".utf16))) == .success)
    #expect(guest.host.addresses == [EthernetAddress(rawValue: 0x0A0B_0C0D_0E0F)])
    #expect(guest.query(.currentAddress).1 == [0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F])
    // The filter goes by it.
    #expect(throws: ReceiveRefusal.unwanted) { try guest.host.bring(frame(60), to: 0) }
    // It stays when the guest closes and opens, as for another MTU, and goes with the machine's reset.
    guest.host.close(0)
    #expect(guest.host.provider.settings.address.rawValue == 0x0A0B_0C0D_0E0F)
    guest.host.change { $0.reset(effects: &$1) }
    #expect(guest.host.provider.settings.address == NetworkPair.address && guest.host.addresses.count == 2)
  }

  @Test func addressesThatAreRefused() {
    let guest = ScriptedNetworkGuest.ready(configuration(changes: true))
    for text in [
      "", "0a0b0c0d0e0", "0a0b0c0d0e0f0", "0a0b0c0d0e0g", "+a0b0c0d0e0f", "000000000000", "010b0c0d0e0f",
      "ffffffffffff",
      "0a:0b:0c:0d:", "0a0b0c0d 0e0",
    ] {
      #expect(
        guest.set(.rndisConfigParameter, parameter("NetworkAddress", Array(text.utf16))) == .invalidData, "\(text)")
    }
    // A lone surrogate; half a character; a number.
    #expect(guest.set(.rndisConfigParameter, parameter("NetworkAddress", [0xD800])) == .invalidData)
    var odd = parameter("NetworkAddress", Array("0a0b0c0d0e0f".utf16))
    odd[16] = 23
    #expect(guest.set(.rndisConfigParameter, odd) == .invalidData)
    #expect(guest.set(.rndisConfigParameter, parameter("NetworkAddress", [1, 2], type: 0)) == .invalidData)
    #expect(guest.set(.rndisConfigParameter, parameter("NetworkAddress", [1, 2], type: 7)) == .invalidData)
    // Offsets and lengths that lie.
    for place in [0, 4, 12, 16] {
      for value: UInt32 in [0xFFFF, 0x7FFF_FFFE, 0xFFFF_FFFE, .max] {
        var bytes = parameter("NetworkAddress", Array("0a0b0c0d0e0f".utf16))
        for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
        #expect(guest.set(.rndisConfigParameter, bytes) != .success, "\(place) \(value)")
      }
    }
    // Terminated or not, both are fine; other names are nobody's business.
    #expect(guest.set(.rndisConfigParameter, parameter("*LsoV2IPv4", [0x31])) == .success)
    #expect(guest.host.addresses.isEmpty && guest.isAlive())
    let fixed = ScriptedNetworkGuest.ready()
    #expect(fixed.set(.rndisConfigParameter, parameter("NetworkAddress", Array("0a0b0c0d0e0f".utf16))) == .failure)
    #expect(fixed.set(.rndisConfigParameter, parameter("NetworkAddress", Array("00155d010203".utf16))) == .success)
  }

  // MARK: Link

  @Test func linkChangesAreIndicated() {
    let guest = ScriptedNetworkGuest.ready()
    func told() -> [RNDISStatus] {
      guest.host.serve(0)
      return guest.take().flatMap(\.messages).compactMap { message in
        guard case .indicate(let status, _) = try? RNDISMessage(decoding: unsafe message.span.bytes) else { return nil }
        return status
      }
    }
    guest.host.change { $0.setLink(isUp: false, effects: &$1) }
    #expect(told() == [.mediaDisconnect] && word(guest.query(.mediaConnectStatus).1) == 1)
    guest.host.change { $0.setLink(isUp: false, effects: &$1) }
    #expect(told().isEmpty)
    guest.host.change { $0.setLink(isUp: true, effects: &$1) }
    guest.host.change { $0.setLinkSpeed(40_000_000_000, effects: &$1) }
    guest.host.change { $0.networkChanged(effects: &$1) }
    #expect(told() == [.mediaConnect, .networkChange, .linkSpeedChange])
    // 10^4 changes while the guest looks away: it hears of the last.
    for step in 0..<10_001 { guest.host.change { $0.setLink(isUp: step % 2 == 1, effects: &$1) } }
    #expect(told() == [.mediaDisconnect])
    #expect(guest.isAlive())
  }

  @Test func linkThatIsDownAtTheStart() {
    let pair = NetworkPair()
    pair.host.change { $0.setLink(isUp: false, effects: &$1) }
    #expect(pair.connect() && !pair.guest.client.isLinkUp)
    pair.host.change { $0.setLink(isUp: true, effects: &$1) }
    pair.settle()
    #expect(pair.guest.client.isLinkUp && pair.guest.takeEvents().contains(.linkChanged))
  }

  @Test func statistics() throws {
    let guest = ScriptedNetworkGuest.ready()
    for _ in 0..<5 { _ = guest.transmit(ScriptedNetworkGuest.bytes(frame(100))) }
    _ = guest.transmit(ScriptedNetworkGuest.bytes(frame(3)))
    for _ in 0..<3 { try guest.host.bring(frame(60), to: 0) }
    guest.host.serve(0)
    _ = guest.take()
    #expect(word(guest.query(.transmitGood).1) == 5 && word(guest.query(.transmitError).1) == 1)
    #expect(word(guest.query(.receiveGood).1) == 3 && word(guest.query(.receiveNoBuffer).1) == 0)
  }

  // MARK: Closing and opening

  /// As Linux does for another MTU, and for `ethtool -L`: nothing is left of before.
  @Test func reopened() {
    for mtu: UInt32 in [1500, 9000, 68, 1500] {
      let pair = NetworkPair(configuration(subChannels: 3), mtu: mtu, subChannels: 3, receivePages: 128)
      for _ in 0..<5 {
        #expect(pair.connect())
        #expect(pair.guest.client.mtu == mtu && pair.host.settings?.mtu == mtu && pair.host.ports.count == 4)
        let bytes = frame(Int(mtu) + 14)
        #expect(pair.guest.send([(bytes, PacketInformation())], on: 3, .ranges))
        pair.settle()
        #expect(pair.host.ports[3]?.sent == [SentFrame(bytes: bytes)])
        try? pair.guest.client.halt()
        pair.guest.pump()
        pair.settle()
        #expect(pair.guest.client.state == .halted)
        #expect(pair.host.settings?.isInitialized == false && pair.host.provider.sectionSize == 0)
        pair.closeAll()
        #expect(pair.host.offered == 0 && pair.host.settings?.version == nil && pair.guest.problem == nil)
      }
    }
  }

  /// Version 1 has no message to say another MTU with: both ends keep to the usual.
  @Test(arguments: versions) func longFramesNeedVersion2(_ version: NVSPVersion) {
    let pair = NetworkPair(
      NetworkConfiguration(address: NetworkPair.address, maximumMTU: 9000, maximumVersion: version), mtu: 9000,
      receivePages: 128)
    #expect(pair.connect())
    let mtu: UInt32 = version.hasConfiguration ? 9000 : 1500
    #expect(pair.guest.client.mtu == mtu && pair.host.settings?.mtu == mtu)
    let bytes = frame(Int(mtu) + 14)
    #expect(pair.guest.send([(bytes, PacketInformation())], on: 0, .ranges))
    pair.settle()
    #expect(pair.host.ports[0]?.sent == [SentFrame(bytes: bytes)])
  }

  /// The channel goes without a word, at any moment of the handshake.
  @Test func closedAtAnyMoment() {
    for steps in 0..<40 {
      let pair = NetworkPair(configuration(subChannels: 1), subChannels: 1)
      pair.share()
      pair.open(0)
      for _ in 0..<steps {
        pair.host.serve(0, limit: 1)
        pair.guest.receive(0, limit: 1)
      }
      pair.closeAll()
      #expect(pair.connect(), "\(steps)")
    }
  }
}
