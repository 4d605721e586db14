// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import VirtualSwitch

/// A long random walk: ports come, change and go, frames of all kinds pass. What must hold after every step is asked of a
/// model that is too simple to be wrong.
@Suite struct SwitchWalkTests {
  struct Random: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var z = state
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      return z ^ (z >> 31)
    }
  }

  static func settings(_ random: inout Random) -> PortSettings {
    let id = VLANID(rawValue: UInt16.random(in: 1...4, using: &random))
    let vlan: VLANMode
    switch Int.random(in: 0..<3, using: &random) {
    case 0: vlan = .untagged
    case 1: vlan = .access(id)
    default:
      let set = VLANSet((1...4).filter { _ in Bool.random(using: &random) }.map { VLANID(rawValue: $0) } + [id])
      vlan = .trunk(allowed: set, native: Bool.random(using: &random) ? .none : VLANID(rawValue: 2))
    }
    let number = UInt8.random(in: 1...20, using: &random)
    return PortSettings(
      vlan: vlan, address: Bool.random(using: &random) ? Frames.address(number) : nil,
      allowsSpoofing: Bool.random(using: &random), isIsolated: Bool.random(using: &random),
      guardsRouters: Bool.random(using: &random), guardsDHCP: Bool.random(using: &random))
  }

  @Test(arguments: UInt64(1)...8)
  func walks(_ seed: UInt64) {
    var random = Random(state: seed)
    var machine = Switch(addresses: 64, addressesPerPort: 24, lifetime: 500, seed: seed)
    var forwarded = 0
    for step in 0..<20_000 {
      let port = PortID(rawValue: UInt8.random(in: 0..<12, using: &random))
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<3: if machine.connected.count < 12 { _ = try? machine.connect(Self.settings(&random)) }
      case 3: if step % 4 == 0 { machine.disconnect(port) }
      case 4: try? machine.set(Self.settings(&random), at: port)
      case 5: machine.setLink(up: Bool.random(using: &random) || machine.isUp(port), at: port)
      case 6: machine.forgetOld(now: UInt64(step))
      default: if send(&machine, port, UInt64(step), &random) { forwarded += 1 }
      }
      guard machine.checkInvariants() else {
        Issue.record("step \(step) of seed \(seed)")
        return
      }
    }
    #expect(forwarded > 1000)
  }

  private func send(_ machine: inout Switch, _ port: PortID, _ now: UInt64, _ random: inout Random) -> Bool {
    let source = Frames.address(UInt8.random(in: 1...40, using: &random))
    let isGroup = Int.random(in: 0..<4, using: &random) == 0
    let target = isGroup ? MACAddress.broadcast : Frames.address(UInt8.random(in: 1...40, using: &random))
    let tags = (0..<Int.random(in: 0...2, using: &random)).map { _ in UInt16.random(in: 0...5, using: &random) }
    let beside =
      Int.random(in: 0..<4, using: &random) == 0 ? VLANTag(rawValue: UInt16.random(in: 0...5, using: &random)) : nil
    let frame = Frames.ethernet(to: target, from: source, tags: tags)
    let result = machine.forward(frame, tag: beside, from: port, now: now)
    #expect(!result.ports.contains(port))
    guard !result.ports.isEmpty, let sender = machine.settings(of: port) else { return false }
    let outer = beside?.rawValue ?? tags.first
    let hasSecond = beside == nil ? tags.count == 2 : !tags.isEmpty
    let vlan = result.tag.id
    // The VLAN is the sender's or one that it may name.
    switch sender.vlan {
    case .untagged: #expect(vlan == .none && (outer ?? 0) == 0 && !hasSecond)
    case .access(let own): #expect(vlan == own && (outer ?? 0) == 0 && !hasSecond)
    case .trunk(let allowed, let native):
      #expect((outer ?? 0) == 0 ? vlan == native : vlan.rawValue == outer && (vlan == native || allowed.contains(vlan)))
    }
    if let address = sender.address, !sender.allowsSpoofing { #expect(source == address) }
    for receiver in result.ports {
      guard let other = machine.settings(of: receiver) else {
        Issue.record("a frame to a port that is not there")
        continue
      }
      let isTagged = result.tagged.contains(receiver)
      switch other.vlan {
      case .untagged: #expect(vlan == .none && !isTagged)
      case .access(let own): #expect(vlan == own && !isTagged)
      case .trunk(let allowed, let native):
        #expect(vlan == native ? !isTagged : isTagged && allowed.contains(vlan))
      }
      #expect(!(sender.isIsolated && other.isIsolated))
      #expect(machine.isUp(receiver))
      if !isTagged { #expect(!hasSecond) }
      if let address = other.address, !other.allowsSpoofing, !isGroup { #expect(target == address) }
    }
    return true
  }
}
