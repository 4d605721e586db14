// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

// RNDIS: one answer for each request, whatever is in it.

extension NetworkProvider {
  mutating func receive(
    rndis bytes: [UInt8], _ channel: inout NetworkChannel, _ statistics: NetworkStatistics,
    _ effects: inout [NetworkEffect]
  ) {
    var change: [NetworkEffect] = []
    do throws(WireError) {
      let message = try RNDISMessage(decoding: unsafe bytes.span.bytes)
      if let answer = try answer(message, unsafe bytes.span.bytes, statistics, &change) {
        channel.send(answer)
      } else if message.type != .halt {
        channel.counters.refused &+= 1
      }
    } catch {
      channel.counters.malformed &+= 1
      if let answer = Self.refusal(of: unsafe bytes.span.bytes) { channel.send(answer) }
    }
    carry(change, &channel, &effects)
  }

  /// For a request that contradicts itself but says which it is.
  private static func refusal(of bytes: RawSpan) -> [UInt8]? {
    do throws(WireError) {
      let id = try bytes.read(UInt32.self, at: 8)
      switch RNDISMessageType(rawValue: try bytes.read(UInt32.self, at: 0)) {
      case .initialize:
        return RNDISBytes.message(
          .initializeComplete(RNDISInitialization(id: id, status: .invalidData, maximumTransfer: 0)))
      case .query: return RNDISBytes.message(.queryComplete(id: id, .invalidData, information: .none))
      case .set: return RNDISBytes.message(.setComplete(id: id, .invalidData))
      case .reset: return RNDISBytes.message(.resetComplete(.invalidData, addressing: false))
      case .keepAlive: return RNDISBytes.message(.keepAliveComplete(id: id, .invalidData))
      default: return nil
      }
    } catch {
      return nil
    }
  }

  private mutating func answer(
    _ message: RNDISMessage, _ bytes: RawSpan, _ statistics: NetworkStatistics, _ effects: inout [NetworkEffect]
  ) throws(WireError) -> [UInt8]? {
    switch message {
    case .initialize(let id, let major, _, _):
      guard major == 1 else {
        return RNDISBytes.message(
          .initializeComplete(RNDISInitialization(id: id, status: .notSupported, maximumTransfer: 0)))
      }
      halt()
      settings.isInitialized = true
      changed(&effects)
      return RNDISBytes.message(
        .initializeComplete(RNDISInitialization(id: id, maximumTransfer: NetworkSendArea.sectionSize)))
    case .halt:
      halt()
      changed(&effects)
      return nil
    case .query(let id, let oid, let place):
      guard settings.isInitialized else {
        return RNDISBytes.message(.queryComplete(id: id, .failure, information: .none))
      }
      let input = try bytes.slice(at: place.offset, count: place.byteCount)
      guard let information = query(oid, input, statistics) else {
        return RNDISBytes.message(.queryComplete(id: id, .notSupported, information: .none))
      }
      return RNDISBytes.message(
        .queryComplete(id: id, .success, information: .bytes(information.count)), information)
    case .set(let id, let oid, let place):
      guard settings.isInitialized else { return RNDISBytes.message(.setComplete(id: id, .failure)) }
      let input = try bytes.slice(at: place.offset, count: place.byteCount)
      return RNDISBytes.message(.setComplete(id: id, set(oid, input, &effects)))
    case .reset:
      // Nothing is lost by it, so that nothing is to be set again.
      return RNDISBytes.message(.resetComplete(.success, addressing: false))
    case .keepAlive(let id): return RNDISBytes.message(.keepAliveComplete(id: id, .success))
    case .initializeComplete, .queryComplete, .setComplete, .resetComplete, .keepAliveComplete, .indicate: return nil
    }
  }

  // MARK: Queries

  private static var supported: [NetworkOID] {
    [
      .supportedList, .hardwareStatus, .mediaSupported, .mediaInUse, .maximumLookahead, .maximumFrameSize, .linkSpeed,
      .transmitBufferSpace, .receiveBufferSpace, .transmitBlockSize, .receiveBlockSize, .vendorID, .vendorDescription,
      .packetFilter, .currentLookahead, .driverVersion, .maximumTotalSize, .macOptions, .mediaConnectStatus,
      .maximumSendPackets, .vendorDriverVersion, .receiveScaleCapabilities, .receiveScaleParameters,
      .rndisConfigParameter, .transmitGood, .receiveGood, .transmitError, .receiveError, .receiveNoBuffer,
      .friendlyName,
      .permanentAddress, .currentAddress, .multicastList, .maximumListSize, .alignmentErrors, .oneCollision,
      .moreCollisions, .offloadCurrent, .offloadParameters, .offloadHardware,
    ]
  }

  /// Groups that the guest may name.
  static let maximumGroups = 64

  /// nil: not supported.
  private func query(_ oid: NetworkOID, _ input: RawSpan, _ statistics: NetworkStatistics) -> [UInt8]? {
    // Version 1 has no message to say another than the usual.
    let isFixed = settings.version.map { !$0.hasConfiguration } ?? false
    let mtu = isFixed ? min(settings.mtu, configuration.maximumMTU) : configuration.maximumMTU
    let frameSize = mtu + UInt32(NetworkAdapter.frameHeaderSize)
    switch oid {
    case .supportedList: return RNDISBytes.words(Self.supported.map(\.rawValue))
    // Ready; 802.3.
    case .hardwareStatus, .mediaSupported, .mediaInUse: return RNDISBytes.word(0)
    // The largest that the way out carries, not the one in use: Linux lowers its own to this.
    case .maximumFrameSize: return RNDISBytes.word(mtu)
    case .maximumLookahead, .currentLookahead, .maximumTotalSize, .transmitBlockSize, .receiveBlockSize:
      return RNDISBytes.word(frameSize)
    case .linkSpeed: return RNDISBytes.word(UInt32(clamping: linkSpeed / 100))
    case .transmitBufferSpace:
      return RNDISBytes.word(settings.send.map { $0.sections &* $0.sectionSize } ?? 0)
    case .receiveBufferSpace:
      return RNDISBytes.word(settings.receive.map { $0.sections &* $0.sectionSize } ?? 0)
    case .vendorID: return RNDISBytes.word(0x00FF_FFFF)
    case .vendorDescription: return Array("swift-lis network adapter".utf8) + [0]
    case .driverVersion: return [0x1E, 0x06]
    case .vendorDriverVersion: return RNDISBytes.word(0x1_0000)
    case .packetFilter: return RNDISBytes.word(settings.filter.rawValue)
    // Tags beside the frame, priorities in them; no loop of one's own frames.
    case .macOptions: return RNDISBytes.word(0x8 | 0x40 | 0x200)
    case .mediaConnectStatus: return RNDISBytes.word(isLinkUp ? 0 : 1)
    case .maximumSendPackets: return RNDISBytes.word(8)
    case .friendlyName: return friendlyName
    case .permanentAddress, .currentAddress:
      return RNDISBytes.bytes(6) { (bytes) throws(WireError) in try settings.address.encode(into: &bytes, at: 0) }
    case .multicastList:
      var list = RNDISBytes.bytes(6 * settings.groups.count) { (bytes) throws(WireError) in
        for (index, group) in settings.groups.enumerated() { try group.encode(into: &bytes, at: index * 6) }
      }
      if list.isEmpty { list = [] }
      return list
    case .maximumListSize: return RNDISBytes.word(UInt32(Self.maximumGroups))
    case .transmitGood: return RNDISBytes.word(UInt32(truncatingIfNeeded: statistics.transmittedFrames))
    case .receiveGood: return RNDISBytes.word(UInt32(truncatingIfNeeded: statistics.receivedFrames))
    case .transmitError: return RNDISBytes.word(UInt32(truncatingIfNeeded: statistics.transmitErrors))
    case .receiveError: return RNDISBytes.word(UInt32(truncatingIfNeeded: statistics.receiveErrors))
    case .receiveNoBuffer: return RNDISBytes.word(UInt32(truncatingIfNeeded: statistics.withoutBuffer))
    case .alignmentErrors, .oneCollision, .moreCollisions: return RNDISBytes.word(0)
    case .offloadHardware: return offloadBytes(hardwareOffloads, input)
    case .offloadCurrent: return offloadBytes(offloads, input)
    case .receiveScaleCapabilities:
      let queues = UInt32(settings.version?.hasSubChannels == true ? settings.receive?.shares ?? 1 : 1)
      return RNDISBytes.bytes(ReceiveScalingCapabilities.wireSize) { (bytes) throws(WireError) in
        try ReceiveScalingCapabilities(queues: queues).encode(into: &bytes, at: 0)
      }
    default: return nil
    }
  }

  private var friendlyName: [UInt8] {
    Array(configuration.name.utf16.prefix(255)).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] } + [0, 0]
  }

  /// What the adapter can do for this guest.
  var hardwareOffloads: NetworkOffloads {
    var hardware = configuration.offloads
    hardware.receiveCoalescing = hardware.receiveCoalescing && canCoalesce
    return hardware
  }

  private var canCoalesce: Bool {
    settings.version?.hasCoalescing == true && capabilities.contains(.receiveCoalescing)
  }

  /// As long as the guest asks for: its revision is in the query; otherwise what goes with the version.
  private func offloadBytes(_ offloads: NetworkOffloads, _ input: RawSpan) -> [UInt8] {
    var revision: UInt8 = settings.version.map { $0 >= .v5 ? 3 : $0 >= .v4 ? 2 : 1 } ?? 1
    do throws(WireError) {
      if input.byteCount >= 4, try input.read(UInt8.self, at: 0) == NDISObject.offload {
        let asked = try input.read(UInt8.self, at: 1)
        revision = min(max(asked, 1), 3)
      }
    } catch {
      // Too short to say anything.
    }
    return RNDISBytes.bytes(NetworkOffloads.byteCount(revision: revision)) { (bytes) throws(WireError) in
      try offloads.encode(into: &bytes, at: 0, revision: revision)
    }
  }

  // MARK: Settings

  private mutating func set(_ oid: NetworkOID, _ input: RawSpan, _ effects: inout [NetworkEffect]) -> RNDISStatus {
    do throws(WireError) {
      switch oid {
      case .packetFilter:
        settings.filter = NetworkPacketFilter(rawValue: try input.read(UInt32.self, at: 0))
        changed(&effects)
        return .success
      case .multicastList: return try setGroups(input, &effects)
      case .offloadParameters: return try setOffloads(NetworkOffloadParameters(decoding: input), &effects)
      case .receiveScaleParameters: return try setScaling(input, &effects)
      case .rndisConfigParameter: return try setParameter(NetworkParameter(decoding: input), &effects)
      // Of no consequence here.
      case .currentLookahead, .networkLayerAddresses: return .success
      default: return .notSupported
      }
    } catch {
      guard case .truncated = error else { return .invalidData }
      return .invalidLength
    }
  }

  private mutating func setGroups(
    _ input: RawSpan, _ effects: inout [NetworkEffect]
  ) throws(WireError) -> RNDISStatus {
    guard input.byteCount % 6 == 0 else { return .invalidLength }
    guard input.byteCount <= 6 * Self.maximumGroups else { return .failure }
    var groups: [EthernetAddress] = []
    for index in 0..<input.byteCount / 6 {
      let group = try EthernetAddress(decoding: input, at: index * 6)
      guard group.isMulticast else { return .invalidData }
      groups.append(group)
    }
    settings.groups = groups
    changed(&effects)
    return .success
  }

  private mutating func setOffloads(
    _ parameters: NetworkOffloadParameters, _ effects: inout [NetworkEffect]
  ) -> RNDISStatus {
    // A guest may use all that the hardware has without saying so; what it switches off only tells what it will not use.
    let both = min(parameters.coalescingIPv4, parameters.coalescingIPv6)
    switch both {
    case 1: offloads.receiveCoalescing = false
    case 2: offloads.receiveCoalescing = hardwareOffloads.receiveCoalescing
    default: break
    }
    switch parameters.largeSendIPv4 {
    case 1: offloads.largeSendIPv4 = 0
    case 2: offloads.largeSendIPv4 = configuration.offloads.largeSendIPv4
    default: break
    }
    switch parameters.largeSendIPv6 {
    case 1: offloads.largeSendIPv6 = 0
    case 2: offloads.largeSendIPv6 = configuration.offloads.largeSendIPv6
    default: break
    }
    settings.acceptsCoalesced = offloads.receiveCoalescing
    changed(&effects)
    return .success
  }

  private mutating func setScaling(
    _ input: RawSpan, _ effects: inout [NetworkEffect]
  ) throws(WireError) -> RNDISStatus {
    let parameters = try ReceiveScalingParameters(decoding: input)
    if parameters.isDisabling {
      settings.scaling = nil
      changed(&effects)
      return .success
    }
    let old = settings.scaling
    var table = InlineArray<128, UInt16>(repeating: 0)
    if parameters.flags & ReceiveScalingParameters.tableUnchanged != 0, let old {
      table = old.table
    } else {
      let count = parameters.table.byteCount / 4
      guard count > 0, count <= 128, parameters.table.byteCount % 4 == 0 else { return .invalidData }
      for index in 0..<128 {
        let channel = try input.read(UInt32.self, at: parameters.table.offset + index % count * 4)
        guard channel < UInt32(settings.receive?.shares ?? 1) else { return .invalidData }
        table[index] = UInt16(channel)
      }
    }
    var key: ToeplitzKey
    if parameters.flags & ReceiveScalingParameters.keyUnchanged != 0, let old {
      key = old.key
    } else {
      guard parameters.key.byteCount == ToeplitzKey.wireSize else { return .invalidData }
      key = try ToeplitzKey(decoding: input.slice(at: parameters.key.offset, count: ToeplitzKey.wireSize))
    }
    var hash = parameters.hash
    if parameters.flags & ReceiveScalingParameters.hashUnchanged != 0, let old { hash = old.hash }
    guard hash.function == 1 else { return .notSupported }
    settings.scaling = NetworkScaling(key: key, hash: hash, table: table)
    changed(&effects)
    return .success
  }

  private mutating func setParameter(_ parameter: NetworkParameter, _ effects: inout [NetworkEffect]) -> RNDISStatus {
    // Windows sets others, which concern its own offloads.
    guard parameter.name == "NetworkAddress" else { return .success }
    guard let address = parameter.address, address.isUsable else { return .invalidData }
    if address == settings.address { return .success }
    guard configuration.allowsAddressChange else { return .failure }
    settings.address = address
    changed(&effects)
    effects.append(.addressChanged(address))
    return .success
  }
}
