// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus
import VMBusHost

/// A guest that says exactly what a test tells it to, and a server that it says it to. After every message the server's
/// invariants are checked.
struct ScriptedGuest {
  var server: BusServer
  var effects: [BusServerEffect] = []
  var port = ConnectionID.legacyMessages

  static let guestFrames: [Range<UInt64>] = [0..<0x100, 0x1000..<0x8000]
  static let heartbeat = OfferDescription.integrationService(
    classID: GUID(0x5716_4F39, 0x9115, 0x4E78, 0xAB55, 0x382F_3BD5_422D), instanceID: GUID(low: 1, high: 1))
  static let network = OfferDescription(
    classID: GUID(0xF861_5163, 0xDF3E, 0x46C5, 0x913F, 0xF2D2_F965_ED0E), instanceID: GUID(low: 2, high: 2))

  init(
    maximumVersion: ProtocolVersion = .v5_3, processors: Int = 2, limits: BusServerLimits = BusServerLimits(),
    memory: [Range<UInt64>] = guestFrames
  ) {
    server = BusServer(
      maximumVersion: maximumVersion, processorCount: processors, guestFrames: memory, limits: limits)
  }

  /// Connected, with heartbeat (1) and network (2) offered.
  static func ready(_ version: ProtocolVersion = .v5_3, limits: BusServerLimits = BusServerLimits()) throws
    -> ScriptedGuest
  {
    var guest = ScriptedGuest(limits: limits)
    _ = try guest.server.offer(heartbeat)
    _ = try guest.server.offer(network)
    guest.connect(version)
    guest.send(.requestOffers(RequestOffers()))
    _ = guest.replies()
    _ = guest.takeEffects()
    return guest
  }

  /// Ready, and channel 1 open with ring GPADL 100 (8 pages).
  static func open(_ version: ProtocolVersion = .v5_3) throws -> ScriptedGuest {
    var guest = try ready(version)
    guest.share(100, on: 1, pages: 8)
    guest.openChannel(1, ring: 100)
    guest.completeOpening()
    _ = guest.replies()
    _ = guest.takeEffects()
    return guest
  }

  @discardableResult
  mutating func send(_ message: GuestMessage) -> HypercallStatus { send(message.encoded, on: port) }

  mutating func send(_ message: MessageBuffer, on port: ConnectionID) -> HypercallStatus {
    let status = server.receive(connection: port, payload: message.bytes, effects: &effects)
    #expect(server.brokenInvariant() == nil)
    return status
  }

  mutating func send(bytes: [UInt8], on port: ConnectionID? = nil) -> HypercallStatus {
    let status = unsafe server.receive(connection: port ?? self.port, payload: bytes.span.bytes, effects: &effects)
    #expect(server.brokenInvariant() == nil)
    return status
  }

  mutating func connect(_ version: ProtocolVersion, targetVP: UInt32 = 0, monitorPage: UInt64 = 0) {
    let contact = InitiateContact(
      version: version, targetVP: VPIndex(targetVP),
      interruptPageOrTarget: version.usesMessageConnection ? InitiateContact.target(sint: 2) : 0x7000,
      hostToGuestMonitorPage: monitorPage, guestToHostMonitorPage: monitorPage)
    port = version.usesMessageConnection ? .messages : .legacyMessages
    send(.initiateContact(contact))
  }

  /// One range of whole pages, with as many bodies as it takes; frames from 0x1000 on.
  mutating func share(_ id: UInt32, on channel: UInt32, pages: Int) {
    var words = [UInt64(pages * 4096)] + (0..<pages).map { 0x1000 + UInt64($0) }
    let bytes = UInt16(words.count * 8)
    let head = take(27, of: &words)
    send(
      .gpadlHeader(
        GPADLHeader(channel: ChannelID(channel), gpadl: GPADLID(id), rangeBytes: bytes, rangeCount: 1, words: head)))
    while !words.isEmpty { send(.gpadlBody(GPADLBody(gpadl: GPADLID(id), words: take(28, of: &words)))) }
  }

  /// A header with these very words.
  mutating func share(_ id: UInt32, on channel: UInt32, bytes: UInt16, ranges: UInt16, _ words: [UInt64]) {
    var words = words
    send(
      .gpadlHeader(
        GPADLHeader(
          channel: ChannelID(channel), gpadl: GPADLID(id), rangeBytes: bytes, rangeCount: ranges,
          words: take(27, of: &words))))
  }

  private func take(_ limit: Int, of words: inout [UInt64]) -> GPADLWords {
    var taken = GPADLWords()
    while taken.count < limit, let word = words.first {
      _ = taken.append(word)
      words.removeFirst()
    }
    return taken
  }

  mutating func openChannel(_ channel: UInt32, ring: UInt32, offset: UInt32 = 4, targetVP: UInt32 = 0) {
    send(
      .openChannel(
        OpenChannel(
          channel: ChannelID(channel), openID: OpenID(77), ringGPADL: GPADLID(ring), targetVP: VPIndex(targetVP),
          hostToGuestPageOffset: offset, userData: UserData())))
  }

  /// The owner has opened what it was last told to open.
  mutating func completeOpening(success: Bool = true) {
    for case .openChannel(let opening) in effects.reversed() {
      server.openCompleted(opening.ticket, success: success)
      #expect(server.brokenInvariant() == nil)
      return
    }
    Issue.record("nothing was to be opened")
  }

  mutating func rescind(_ channel: UInt32) throws {
    try server.rescind(ChannelID(channel), effects: &effects)
    #expect(server.brokenInvariant() == nil)
  }

  mutating func reset() {
    server.reset(effects: &effects)
    #expect(server.brokenInvariant() == nil)
  }

  /// All messages for the guest, in order.
  mutating func replies() -> [HostMessage] {
    var messages: [HostMessage] = []
    while let message = server.nextMessage() {
      messages.append(message.message)
      server.removeFirstMessage()
    }
    return messages
  }

  /// Without the lines for the log.
  mutating func takeEffects() -> [BusServerEffect] {
    defer { effects = [] }
    return effects.filter { if case .refused = $0 { false } else { true } }
  }

  func count(_ refusal: BusRefusal) -> UInt64 { server.count(of: refusal) }

  /// After a hostile message: what a guest of good will does next must work.
  mutating func expectAlive() {
    let channel = server.channels.first { $0.state == .offered }?.channel
    guard let channel else {
      Issue.record("no channel to be alive with")
      return
    }
    _ = replies()
    share(0xFFFF, on: channel.rawValue, pages: 8)
    openChannel(channel.rawValue, ring: 0xFFFF)
    completeOpening()
    #expect(
      replies() == [
        .gpadlCreated(GPADLCreated(channel: channel, gpadl: GPADLID(0xFFFF), status: .success)),
        .openResult(OpenResult(channel: channel, openID: OpenID(77), status: .success)),
      ])
    send(.closeChannel(CloseChannel(channel: channel)))
    send(.gpadlTeardown(GPADLTeardown(channel: channel, gpadl: GPADLID(0xFFFF))))
    #expect(replies() == [.gpadlTorndown(GPADLTorndown(gpadl: GPADLID(0xFFFF)))])
    _ = takeEffects()
  }
}
