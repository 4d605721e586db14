// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceProviders
import VMBus

/// The host's end of an integration service against a guest that answers what was sent, mostly in the right form: late,
/// twice, out of turn, with other statuses and damaged bodies. Whatever happens, every request ends exactly once, at the
/// latest with the channel, and time moves the machine on.
struct ProviderTarget<Provider: IntegrationServiceProvider> {
  var provider: Provider
  /// Makes one request with this id, or none (false).
  let request: (inout Provider, inout Script, ServiceRequestID, ServiceClock) -> Bool
  /// What the owner does about a wish for a part of a file.
  var supply: (inout Provider, inout Script, ServiceRequestID, UInt64, Int, ServiceClock) -> Void = {
    _, _, _, _, _, _ in
  }

  private var clock = ServiceClock(monotonic: 1 << 40, hostTime: 133_000_000_000_000_000, referenceTime: 1 << 30)
  private var lastSent: [UInt8] = []
  private var issued: Set<ServiceRequestID> = []
  private var nextID: UInt64 = 1

  init(
    _ provider: Provider,
    request: @escaping (inout Provider, inout Script, ServiceRequestID, ServiceClock) -> Bool
  ) {
    self.provider = provider
    self.request = request
  }

  mutating func run(_ script: inout Script) {
    provider.channelOpened(clock)
    drain(&script)
    while !script.isEmpty {
      switch script.choice(16) {
      case 0:
        if script.oneIn(8) { provider.channelClosed(clock) }
        if script.oneIn(4) { provider.channelOpened(clock) }
      case 1, 2:
        let id = ServiceRequestID(rawValue: nextID)
        issued.insert(id)
        if request(&provider, &script, id, clock) { nextID += 1 } else { issued.remove(id) }
      case 3, 4:
        pass(script.oneIn(8) ? UInt64(script.word32()) * 1000 : UInt64(script.byte()) * 100_000_000)
        provider.tick(clock)
      case 5:
        // To the deadline, exactly.
        if let deadline = provider.deadline {
          pass(deadline > clock.monotonic ? min(deadline - clock.monotonic, 1 << 42) : 0)
          provider.tick(clock)
        }
      case 6:
        if script.oneIn(2) { provider.partitionPaused(clock) } else { provider.partitionResumed(clock) }
      case 7:
        // Something that nobody asked for.
        let bytes = script.take(script.choice(200))
        unsafe provider.receive(bytes.span.bytes, clock)
      default:
        var message = answer(&script)
        message.damage(&script)
        unsafe provider.receive(message.bytes.span.bytes, clock)
      }
      drain(&script)
    }
    provider.partitionResumed(clock)
    provider.channelClosed(clock)
    drain(&script)
    precondition(issued.isEmpty, "\(Provider.service): requests without an end: \(issued)")
  }

  private mutating func pass(_ nanoseconds: UInt64) {
    clock.monotonic += nanoseconds
    clock.hostTime += nanoseconds / 100
    clock.referenceTime += nanoseconds / 100
  }

  private mutating func drain(_ script: inout Script) {
    var effects = 0
    while let effect = provider.nextEffect() {
      effects += 1
      precondition(effects < 100_000, "\(Provider.service): effects without an end")
      switch effect {
      case .send(let bytes):
        precondition(bytes.count >= 28 && bytes.count <= 16384, "a packet of \(bytes.count) bytes")
        lastSent = bytes
      case .event: break
      case .completed(let id, _):
        precondition(issued.remove(id) != nil, "\(Provider.service): \(id) ended twice or was never made")
      case .readFile(let id, let offset, let count):
        supply(&provider, &script, id, offset, count, clock)
      }
    }
  }

  static var statuses: [UInt32] { [0x8000_4005, 0x8007_0103, 0x8007_0490, 0x8007_0050, 0x8007_0070, 0x8004_1002] }

  /// The last message, answered in place as Linux does.
  private func answer(_ script: inout Script) -> WireMessage {
    var message = WireMessage(bytes: lastSent)
    func set<T: FixedWidthInteger>(_ value: T, at offset: Int) {
      var field = WireMessage()
      field.add(value)
      guard offset >= 0, offset + field.bytes.count <= message.bytes.count else { return }
      message.bytes.replaceSubrange(offset..<offset + field.bytes.count, with: field.bytes)
    }
    set(script.mostly(UInt8(5)), at: 25)
    if script.oneIn(16) { set(script.byte(), at: 24) }
    if script.oneIn(16) { set(script.mostly(UInt32(message.bytes.count - 8)), at: 4) }
    if script.oneIn(16) { set(script.word16(), at: 18) }
    let isNegotiation = message.bytes.count > 13 && message.bytes[12] == 0 && message.bytes[13] == 0
    if isNegotiation {
      // One version of each kind; mostly the first or a later one of those offered.
      let frameworks = message.bytes.count > 28 ? Int(message.bytes[28]) : 0
      let messages = message.bytes.count > 30 ? Int(message.bytes[30]) : 0
      let version = 36 + 4 * frameworks + 4 * script.choice(max(1, messages))
      let chosen = version + 4 <= message.bytes.count ? Array(message.bytes[version..<version + 4]) : []
      set(script.mostly(UInt16(1)), at: 28)
      set(script.mostly(UInt16(1)), at: 30)
      if chosen.count == 4, message.bytes.count >= 44 { message.bytes.replaceSubrange(40..<44, with: chosen) }
      return message
    }
    if script.oneIn(3) { set(script.oneIn(8) ? script.word32() : Self.statuses[script.choice(6)], at: 20) }
    // Fields of the body: numbers, lengths, texts.
    for _ in 0..<script.choice(4) {
      let offset = 28 + (script.oneIn(2) ? script.choice(24) : Int(script.word16() % 8192))
      switch script.choice(4) {
      case 0: set(script.byte(), at: offset)
      case 1: set(script.mostly(UInt32(script.choice(64))), at: offset)
      case 2: set(script.word64(), at: offset)
      default:
        let text = script.take(script.choice(32))
        for (index, byte) in text.enumerated() {
          set(byte, at: offset + 2 * index)
          set(UInt8(0), at: offset + 2 * index + 1)
        }
      }
    }
    return message
  }
}
