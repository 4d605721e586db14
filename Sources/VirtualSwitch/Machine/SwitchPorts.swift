// SPDX-License-Identifier: Apache-2.0

/// The ports of a switch, and which frame may go where between them, with which tag. Judging a frame changes nothing here,
/// so that many threads may do it at once: what it leaves behind goes into the caller's tally and address book.
struct SwitchPorts: Sendable {
  struct Port: Sendable {
    var settings: PortSettings
    var isUp = true
  }

  private(set) var ports = [Port?](repeating: nil, count: Switch.maximumPorts)
  private(set) var connected = PortSet()
  /// Each port's own address, or 0: looked through for every frame.
  private var owners = [UInt64](repeating: 0, count: Switch.maximumPorts)

  // MARK: Ports

  mutating func connect(_ settings: PortSettings) throws(SwitchError) -> PortID {
    try settings.check()
    guard let place = ports.firstIndex(where: { $0 == nil }) else { throw .full(Switch.maximumPorts) }
    let port = PortID(rawValue: UInt8(place))
    if let address = settings.address, owner(of: address) != nil { throw .addressTaken(address, by: "") }
    ports[place] = Port(settings: settings)
    owners[place] = settings.address?.rawValue ?? 0
    connected.insert(port)
    return port
  }

  mutating func disconnect(_ port: PortID) {
    ports[Int(port.rawValue)] = nil
    owners[Int(port.rawValue)] = 0
    connected.remove(port)
  }

  mutating func set(_ settings: PortSettings, at port: PortID) throws(SwitchError) {
    try settings.check()
    guard ports[Int(port.rawValue)] != nil else { throw .closed }
    if let address = settings.address, let owner = owner(of: address), owner != port {
      throw .addressTaken(address, by: "")
    }
    ports[Int(port.rawValue)]?.settings = settings
    owners[Int(port.rawValue)] = settings.address?.rawValue ?? 0
  }

  mutating func setLink(up: Bool, at port: PortID) { ports[Int(port.rawValue)]?.isUp = up }

  func settings(of port: PortID) -> PortSettings? { ports[Int(port.rawValue)]?.settings }
  func isUp(_ port: PortID) -> Bool { ports[Int(port.rawValue)]?.isUp ?? false }

  /// The port whose own address this is.
  func owner(of address: MACAddress) -> PortID? {
    guard address != .zero else { return nil }
    for port in connected where owners[Int(port.rawValue)] == address.rawValue { return port }
    return nil
  }

  func checkInvariants() -> Bool {
    ports.indices.allSatisfy { place in
      (ports[place] != nil) == connected.contains(PortID(rawValue: UInt8(place)))
        && owners[place] == ports[place]?.settings.address?.rawValue ?? 0
    }
  }

  // MARK: Frames

  /// Judges a frame that came in at `source`. `header` holds its first bytes (all of a shorter frame;
  /// `Switch.headerBytes` or more of a longer one, for the guards), `byteCount` all of its bytes, `tag` what came beside it.
  func judge(
    _ header: RawSpan, byteCount: Int, tag: VLANTag?, offloads: FrameOffloads, from source: PortID, now: UInt64,
    _ book: inout some AddressBook, _ tally: inout SwitchTally
  ) -> Forwarding {
    var result = Forwarding()
    guard let port = ports[Int(source.rawValue)] else {
      result.drop = .linkDown
      return result
    }
    guard port.isUp else {
      result.drop = .linkDown
      tally[source].drop(.linkDown)
      return result
    }
    let frame = FrameHeader(header, byteCount: byteCount, tag: tag)
    do throws(Refusal) {
      let vlan = try admit(frame, offloads, from: source, port.settings)
      if !port.settings.hasOneAddress, !book.learn(frame.source, in: vlan, at: source, now: now) {
        tally.unlearned &+= 1
      }
      result.tag = (frame.tag ?? VLANTag(rawValue: 0)).with(vlan)
      result.hasTagInBytes = frame.hasTagInBytes
      result.tagInBytes = VLANTag(rawValue: frame.hasTagInBytes ? header.word(14) : 0)
      tally[source].receivedFrames &+= 1
      tally[source].receivedBytes &+= UInt64(byteCount)
      let receivers = receivers(of: frame, in: vlan, from: source, port.settings, now, &book)
      for receiver in receivers { leave(at: receiver, frame, offloads, vlan, &result, &tally) }
      if receivers.isEmpty { throw Refusal(reason: .noReceiver) }
    } catch {
      result.drop = error.reason
      tally[source].drop(error.reason)
    }
    return result
  }

  private struct Refusal: Error { let reason: DropReason }

  private func admit(
    _ frame: FrameHeader, _ offloads: FrameOffloads, from source: PortID, _ settings: PortSettings
  ) throws(Refusal) -> VLANID {
    guard frame.isComplete, offloads.fits(frame.byteCount) else { throw Refusal(reason: .malformed) }
    guard frame.fits(settings.maximumPayload, offloads) else { throw Refusal(reason: .tooLong) }
    guard frame.source.isUsable else { throw Refusal(reason: .badSource) }
    guard !frame.destination.isLinkLocal else { throw Refusal(reason: .reservedAddress) }
    guard let vlan = frame.vlan(for: settings.vlan) else { throw Refusal(reason: .vlan) }
    if settings.hasOneAddress {
      guard frame.source == settings.address else { throw Refusal(reason: .spoofed) }
    } else if let owner = owner(of: frame.source), owner != source {
      throw Refusal(reason: .spoofed)
    }
    if settings.guardsRouters, frame.isRouterMessage { throw Refusal(reason: .routerGuard) }
    if settings.guardsDHCP, frame.isServerMessage { throw Refusal(reason: .dhcpGuard) }
    return vlan
  }

  private func receivers(
    of frame: FrameHeader, in vlan: VLANID, from source: PortID, _ settings: PortSettings, _ now: UInt64,
    _ book: inout some AddressBook
  ) -> PortSet {
    var result = PortSet()
    if !frame.destination.isMulticast {
      if let owner = owner(of: frame.destination), ports[Int(owner.rawValue)]?.settings.vlan.carries(vlan) == true {
        if may(settings, owner, vlan), owner != source { result.insert(owner) }
        return result
      }
      if let known = book.find(frame.destination, in: vlan, now: now) {
        if may(settings, known, vlan), known != source { result.insert(known) }
        return result
      }
    }
    for port in connected where port != source && may(settings, port, vlan) {
      guard let other = ports[Int(port.rawValue)], other.isUp else { continue }
      // Nobody listens there for an address that is another's.
      if !frame.destination.isMulticast, other.settings.hasOneAddress { continue }
      result.insert(port)
    }
    return result
  }

  private func may(_ settings: PortSettings, _ port: PortID, _ vlan: VLANID) -> Bool {
    guard let other = ports[Int(port.rawValue)] else { return false }
    return other.settings.vlan.carries(vlan) && !(settings.isIsolated && other.settings.isIsolated)
  }

  private func leave(
    at port: PortID, _ frame: FrameHeader, _ offloads: FrameOffloads, _ vlan: VLANID, _ result: inout Forwarding,
    _ tally: inout SwitchTally
  ) {
    guard let receiver = ports[Int(port.rawValue)] else { return }
    let isTagged = receiver.settings.vlan.tags(vlan)
    let reason: DropReason?
    if !receiver.isUp {
      reason = .linkDown
    } else if !isTagged, frame.hidesTag {
      reason = .hiddenTag
    } else if !frame.fits(receiver.settings.maximumPayload, offloads) {
      reason = .tooLong
    } else {
      reason = nil
    }
    if let reason {
      tally[port].drop(reason)
      return
    }
    result.ports.insert(port)
    if isTagged { result.tagged.insert(port) }
    let byteCount = frame.byteCount - (frame.hasTagInBytes ? 4 : 0) + (isTagged ? 4 : 0)
    tally[port].sentFrames &+= 1
    tally[port].sentBytes &+= UInt64(byteCount)
  }
}
