// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

// Requests by RNDIS: one at a time, in the control page. A request is over when the host has given the page back and has
// answered; either may come first.

extension NetworkClient {
  mutating func control(_ request: Request, _ page: inout MutableRawSpan) -> NetworkClientPacket? {
    let id = nextRequest
    nextRequest = nextRequest == .max ? 1 : nextRequest &+ 1
    let count: Int
    do throws(WireError) {
      count = try encode(request, id, into: &page)
    } catch {
      _ = fail(.tooLong)
      return nil
    }
    let packet = NetworkClientPacket(controlByteCount: count, transactionID: takeID())
    outstanding = packet.transactionID
    current = request
    // Nobody answers a halt.
    self.request = request == .halt ? nil : id
    return packet
  }

  private func encode(_ request: Request, _ id: UInt32, into page: inout MutableRawSpan) throws(WireError) -> Int {
    let information: Int
    switch request {
    case .initialize:
      return try put(.initialize(id: id, major: 1, minor: 0, maximumTransfer: 0x4000), into: &page)
    case .frameSize: return try put(.query(id: id, .maximumFrameSize, information: .none), into: &page)
    case .address: return try put(.query(id: id, .permanentAddress, information: .none), into: &page)
    case .linkStatus: return try put(.query(id: id, .mediaConnectStatus, information: .none), into: &page)
    case .linkSpeed: return try put(.query(id: id, .linkSpeed, information: .none), into: &page)
    case .halt: return try put(.halt(id: id), into: &page)
    case .offloads:
      let revision: UInt8 = version >= .v5 ? 3 : version >= .v4 ? 2 : 1
      information = NetworkOffloads.byteCount(revision: revision)
      try clear(&page, information)
      try NetworkOffloads.none.encode(into: &page, at: 28, revision: revision)
      return try put(.query(id: id, .offloadHardware, information: .bytes(information)), into: &page)
    case .scalingCapabilities:
      information = ReceiveScalingCapabilities.wireSize
      try clear(&page, information)
      try ReceiveScalingCapabilities(queues: 0, entries: 0).encode(into: &page, at: 28)
      return try put(
        .query(id: id, .receiveScaleCapabilities, information: .bytes(information)), into: &page)
    case .changeAddress:
      information = try putAddress(into: &page)
      return try put(.set(id: id, .rndisConfigParameter, information: .bytes(information)), into: &page)
    case .setOffloads, .changeOffloads:
      information = NetworkOffloadParameters.wireSize
      try clear(&page, information)
      try parameters.encode(into: &page, at: 28)
      return try put(.set(id: id, .offloadParameters, information: .bytes(information)), into: &page)
    case .filter:
      try page.write(filter.rawValue, at: 28)
      return try put(.set(id: id, .packetFilter, information: .bytes(4)), into: &page)
    case .disableScaling, .setScaling:
      information = try putScaling(isOn: request == .setScaling, into: &page)
      return try put(.set(id: id, .receiveScaleParameters, information: .bytes(information)), into: &page)
    }
  }

  private func put(_ message: RNDISMessage, into page: inout MutableRawSpan) throws(WireError) -> Int {
    try message.encode(into: &page)
    return message.byteCount
  }

  private func clear(_ page: inout MutableRawSpan, _ count: Int) throws(WireError) {
    for index in 0..<count { try page.write(0 as UInt8, at: 28 &+ index) }
  }

  /// What the host can do is used; IPv4's header is our own business.
  private var parameters: NetworkOffloadParameters {
    var parameters = NetworkOffloadParameters()
    parameters.ipv4Header = 1
    if offloads.transmitChecksums {
      parameters.tcpIPv4 = 4
      parameters.udpIPv4 = version >= .v5 ? 4 : 0
      parameters.tcpIPv6 = 4
      parameters.udpIPv6 = version >= .v5 ? 4 : 0
      parameters.largeSendIPv4 = offloads.largeSendIPv4 > 0 ? 2 : 0
      parameters.largeSendIPv6 = offloads.largeSendIPv6 > 0 ? 2 : 0
    }
    if offloads.receiveCoalescing {
      parameters.coalescingIPv4 = wantsCoalescing ? 2 : 1
      parameters.coalescingIPv6 = wantsCoalescing ? 2 : 1
    }
    return parameters
  }

  /// The parameter "NetworkAddress", twelve hexadecimal digits: offset and length of the name, type 2 (text), offset and
  /// length of the value; then both in UTF-16. Bytes of it all.
  private func putAddress(into page: inout MutableRawSpan) throws(WireError) -> Int {
    let name: StaticString = "NetworkAddress"
    let nameSize = name.utf8CodeUnitCount &* 2
    let header = 20
    try page.write(UInt32(truncatingIfNeeded: header), at: 28)
    try page.write(UInt32(truncatingIfNeeded: nameSize), at: 32)
    try page.write(2 as UInt32, at: 36)
    try page.write(UInt32(truncatingIfNeeded: header &+ nameSize), at: 40)
    try page.write(24 as UInt32, at: 44)
    var at = 28 &+ header
    for index in 0..<name.utf8CodeUnitCount {
      try page.write(UInt16(unsafe name.utf8Start[index]), at: at)
      at &+= 2
    }
    for index in 0..<12 {
      let digit = UInt16(truncatingIfNeeded: wantedAddress.rawValue &>> UInt64(44 &- index &* 4)) & 15
      try page.write(digit < 10 ? 48 &+ digit : 55 &+ digit, at: at)
      at &+= 2
    }
    return at &- 28
  }

  /// Bytes of structure, table and key.
  private func putScaling(isOn: Bool, into page: inout MutableRawSpan) throws(WireError) -> Int {
    let size = ReceiveScalingParameters.wireSize
    let entries = Int(scalingEntries)
    try clear(&page, size)
    try ReceiveScalingParameters(
      flags: isOn ? 0 : ReceiveScalingParameters.disable, hash: .linux,
      table: RNDISPlace(offset: size, byteCount: entries &* 4),
      key: RNDISPlace(offset: size &+ entries &* 4, byteCount: ToeplitzKey.wireSize)
    ).encode(into: &page, at: 28)
    for index in 0..<entries {
      try page.write(UInt32(table[index]), at: 28 &+ size &+ index &* 4)
    }
    try key.encode(into: &page, at: 28 &+ size &+ entries &* 4)
    return size &+ entries &* 4 &+ ToeplitzKey.wireSize
  }

  // MARK: From the host

  /// A control message of the host's, in a private copy.
  public mutating func receive(control message: RawSpan) throws(NetworkClientFault) -> Event? {
    let decoded: RNDISMessage
    do throws(WireError) {
      decoded = try RNDISMessage(decoding: message)
    } catch {
      throw drop(.malformed)
    }
    switch decoded {
    case .indicate(let status, let place): return try indicate(status, place, message)
    case .initializeComplete(let answer): return try answered(answer.id, decoded, message)
    case .queryComplete(let id, _, _), .setComplete(let id, _): return try answered(id, decoded, message)
    default: throw drop(.malformed)
    }
  }

  private mutating func indicate(
    _ status: RNDISStatus, _ place: RNDISPlace, _ message: RawSpan
  ) throws(NetworkClientFault) -> Event? {
    switch status {
    case .mediaConnect, .mediaDisconnect:
      let isUp = status == .mediaConnect
      guard isUp != isLinkUp else { return nil }
      isLinkUp = isUp
      return .linkChanged
    case .networkChange: return .networkChanged
    case .linkSpeedChange:
      do throws(WireError) {
        guard place.byteCount >= 4 else { throw .invalid(offset: 12) }
        linkSpeed = UInt64(try message.read(UInt32.self, at: place.offset)) &* 100
      } catch {
        throw drop(.malformed)
      }
      return .speedChanged
    default: return nil
    }
  }

  private mutating func answered(
    _ id: UInt32, _ answer: RNDISMessage, _ message: RawSpan
  ) throws(NetworkClientFault) -> Event? {
    guard let request, request == id, let current else { throw drop(.notOutstanding) }
    guard Self.answers(answer, current) else { return fail(.malformed) }
    self.request = nil
    do throws(WireError) {
      if let fault = try take(answer, of: current, message) { return fail(fault) }
    } catch {
      return fail(.malformed)
    }
    return advanceControl()
  }

  private static func answers(_ answer: RNDISMessage, _ request: Request) -> Bool {
    switch (request, answer) {
    case (.initialize, .initializeComplete): true
    case (.frameSize, .queryComplete), (.address, .queryComplete), (.offloads, .queryComplete),
      (.linkStatus, .queryComplete), (.linkSpeed, .queryComplete), (.scalingCapabilities, .queryComplete):
      true
    case (.setOffloads, .setComplete), (.disableScaling, .setComplete), (.setScaling, .setComplete),
      (.filter, .setComplete), (.changeOffloads, .setComplete), (.changeAddress, .setComplete):
      true
    default: false
    }
  }

  /// Keeps what an answer says. nil: well.
  private mutating func take(
    _ answer: RNDISMessage, of request: Request, _ message: RawSpan
  ) throws(WireError) -> NetworkClientFault? {
    switch answer {
    case .initializeComplete(let initialization):
      guard initialization.status == .success else { return .refused }
      guard initialization.alignmentFactor <= 8 else { return .malformed }
      alignment = 1 &<< initialization.alignmentFactor
      if alignment < 8 { alignment = 8 }
      packetsPerMessage = initialization.packetsPerMessage > 0 ? initialization.packetsPerMessage : 1
      return nil
    case .queryComplete(_, let status, let place):
      guard status == .success else { return absence(request) }
      return try keep(try message.slice(at: place.offset, count: place.byteCount), of: request)
    case .setComplete(_, let status):
      switch request {
      // One can do without.
      case .disableScaling, .setScaling, .changeOffloads: return nil
      case .changeAddress:
        if status == .success { address = wantedAddress }
        return nil
      default: return status == .success ? nil : .refused
      }
    default: return .malformed
    }
  }

  /// What it means that the host does not know.
  private mutating func absence(_ request: Request) -> NetworkClientFault? {
    switch request {
    case .address: return .refused
    case .frameSize: mtu = wantedMTU < 1500 ? wantedMTU : 1500
    case .offloads: offloads = .none
    case .linkStatus: isLinkUp = true
    case .scalingCapabilities: hostQueues = 1
    default: break
    }
    return nil
  }

  private mutating func keep(_ data: RawSpan, of request: Request) throws(WireError) -> NetworkClientFault? {
    switch request {
    case .frameSize:
      let most = try data.read(UInt32.self, at: 0)
      guard most >= 68 else { return .malformed }
      // In version 1 nobody can tell the host that frames are longer than usual.
      let usable = most > 1500 && !version.hasConfiguration ? 1500 : most
      mtu = wantedMTU < usable ? wantedMTU : usable
    case .address:
      address = try EthernetAddress(decoding: data, at: 0)
      guard address.isUsable else { return .malformed }
    case .offloads: offloads = try NetworkOffloads(decoding: data)
    case .linkStatus: isLinkUp = try data.read(UInt32.self, at: 0) == 0
    case .linkSpeed: linkSpeed = UInt64(try data.read(UInt32.self, at: 0)) &* 100
    case .scalingCapabilities:
      let capabilities = try ReceiveScalingCapabilities(decoding: data)
      hostQueues = capabilities.queues
      let most = UInt16(truncatingIfNeeded: NetworkAdapter.indirectionCount)
      scalingEntries = capabilities.entries > 0 && capabilities.entries < most ? capabilities.entries : most
    default: break
    }
    return nil
  }

  /// Goes on when page and answer are back.
  mutating func advanceControl() -> Event? {
    guard outstanding == nil, request == nil, let done = current else { return nil }
    current = nil
    switch done {
    case .initialize: ask(.frameSize)
    case .frameSize: ask(.address)
    case .address: ask(.offloads)
    case .offloads: ask(.setOffloads)
    case .setOffloads: ask(.linkStatus)
    case .linkStatus:
      if !version.hasSubChannels { return askForChannels() }
      ask(.linkSpeed)
    case .linkSpeed: ask(.scalingCapabilities)
    case .scalingCapabilities: return askForChannels()
    case .disableScaling:
      owesSpreading = true
    case .setScaling: return .scalingSet
    case .filter: return .filterSet
    case .changeOffloads: return .offloadsSet
    case .changeAddress: return .addressSet(address == wantedAddress)
    case .halt:
      state = .halted
      unsent = 2
      return .halted
    }
    return nil
  }
}
