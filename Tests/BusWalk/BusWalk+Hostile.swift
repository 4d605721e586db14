// SPDX-License-Identifier: Apache-2.0

import VMBus
import VMBusGuest
import VMBusHost

extension BusWalk {
  /// Something that no client sends, behind the back of the one that is there: a message of the right form with the
  /// wrong content or at the wrong time, or bytes.
  mutating func hostileStep() {
    var message = hostileMessage()
    if decisions.oneIn(8) {
      message = Array(message.prefix(decisions.choice(message.count + 1)))
    } else if decisions.oneIn(8) {
      for _ in 0...decisions.choice(3) where !message.isEmpty {
        message[decisions.choice(message.count)] = UInt8(truncatingIfNeeded: decisions.word())
      }
    } else if decisions.oneIn(50) {
      message += [UInt8](repeating: 0xFF, count: 260)
    }
    let port = decisions.oneIn(10) ? ConnectionID(interesting()) : ConnectionID(decisions.oneIn(2) ? 1 : 4)
    let status = unsafe host.post(bytes: message.span.bytes, to: port)
    let isKnown =
      status == .success || status == .invalidConnectionID || status == .insufficientBuffers
      || status == .invalidParameter
    if !isKnown { host.fail("an unexpected hypercall status \(status.rawValue)") }
  }

  private mutating func hostileMessage() -> [UInt8] {
    if decisions.oneIn(200) {
      // The kernel that was connected doesn't survive this; the next one connects later.
      defer { newGuest() }
      return bytes(of: decisions.oneIn(4) ? .unload(Unload()) : .initiateContact(anyContact()))
    }
    if decisions.oneIn(30) {
      let type = UInt8(decisions.choice(30))
      return (0..<decisions.choice(64)).map { $0 == 0 ? type : UInt8($0 % 7) }
    }
    let channel = anyChannel()
    let gpadl = anyGPADL()
    let message: GuestMessage =
      switch decisions.choice(38) {
      case 0...1: .gpadlBody(GPADLBody(gpadl: gpadl, words: GPADLWords()))
      case 2: .requestOffers(RequestOffers())
      case 3...6: .channelReleased(ChannelReleased(channel: channel))
      case 7...13:
        .openChannel(
          OpenChannel(
            channel: channel, openID: OpenID(1), ringGPADL: gpadl, targetVP: VPIndex(anyTarget()),
            hostToGuestPageOffset: decisions.oneIn(2) ? 2 : interesting(), userData: UserData()))
      case 14...17: .closeChannel(CloseChannel(channel: channel))
      case 18...20: .modifyChannel(ModifyChannel(channel: channel, targetVP: VPIndex(anyTarget())))
      case 21:
        .openReservedChannel(
          OpenReservedChannel(
            channel: channel, targetVP: VPIndex(0), targetSINT: 2, ringGPADL: gpadl, hostToGuestPageOffset: 1))
      case 22: .closeReservedChannel(CloseReservedChannel(channel: channel, targetVP: VPIndex(0), targetSINT: 2))
      case 23:
        .socketConnectRequest(SocketConnectRequest(endpoint: GUID(low: 1, high: 2), service: GUID(low: 3, high: 4)))
      case 24...29: .gpadlHeader(anyHeader(channel, gpadl))
      case 30...33: .gpadlBody(GPADLBody(gpadl: gpadl, words: anyWords(28)))
      default: .gpadlTeardown(GPADLTeardown(channel: channel, gpadl: gpadl))
      }
    return bytes(of: message)
  }

  private func bytes(of message: GuestMessage) -> [UInt8] {
    unsafe message.encoded.bytes.withUnsafeBytes { unsafe Array($0) }
  }

  private mutating func anyContact() -> InitiateContact {
    let versions: [ProtocolVersion] = [
      .v2_4, .v3_0, .v4_1, .v5_0, .v5_3, .v6_0, ProtocolVersion(rawValue: interesting()),
    ]
    return InitiateContact(
      version: decisions.element(of: versions) ?? .v5_3, targetVP: VPIndex(anyTarget()),
      interruptPageOrTarget: decisions.oneIn(3) ? decisions.word() : 2)
  }

  private mutating func anyHeader(_ channel: ChannelID, _ gpadl: GPADLID) -> GPADLHeader {
    if decisions.oneIn(3) {
      return GPADLHeader(
        channel: channel, gpadl: gpadl, rangeBytes: UInt16(truncatingIfNeeded: interesting()),
        rangeCount: UInt16(truncatingIfNeeded: interesting()), words: anyWords(27))
    }
    // Sound, except perhaps for the count and the frames; some wait for bodies.
    let pages = 1 + decisions.choice(40)
    var words = GPADLWords()
    _ = words.append(UInt64(pages * 4096) &+ (decisions.oneIn(6) ? UInt64(interesting()) << 32 : 0))
    while words.count < min(pages + 1, 27), words.append(decisions.oneIn(80) ? decisions.word() : 0x1000) {}
    return GPADLHeader(
      channel: channel, gpadl: gpadl, rangeBytes: UInt16((pages + 1) * 8), rangeCount: decisions.oneIn(8) ? 2 : 1,
      words: words)
  }

  private mutating func anyWords(_ limit: Int) -> GPADLWords {
    var words = GPADLWords()
    for _ in 0..<decisions.choice(limit + 1) {
      _ = words.append(decisions.oneIn(4) ? decisions.word() : 0x1000 + UInt64(decisions.choice(0x3000)))
    }
    return words
  }

  private mutating func anyChannel() -> ChannelID {
    decisions.oneIn(6) ? ChannelID(interesting()) : ChannelID(UInt32(1 + decisions.choice(8)))
  }

  /// The client's, and a few of our own.
  private mutating func anyGPADL() -> GPADLID {
    if decisions.oneIn(3), let shared = decisions.element(of: memory) { return shared.id }
    return GPADLID(decisions.oneIn(6) ? interesting() : 100 + UInt32(decisions.choice(12)))
  }

  private mutating func anyTarget() -> UInt32 { decisions.oneIn(5) ? interesting() : UInt32(decisions.choice(4)) }

  /// The edges of what fields can hold.
  private mutating func interesting() -> UInt32 {
    let values: [UInt32] = [
      0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 24, 255, 256, 2047, 2048, 4095, 4096, 0xFFF8, 0xFFFF, 0x1_0000, 0x7FFF_FFFF,
      0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF,
    ]
    return decisions.element(of: values) ?? 0
  }
}
