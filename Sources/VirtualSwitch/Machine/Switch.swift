// SPDX-License-Identifier: Apache-2.0

/// An Ethernet switch with VLANs: which frame may go where, with which tag. A value: no I/O, no clock, no lock, and no
/// allocation for a frame. It sees a copy of a frame's first bytes and never the frame itself.
public struct Switch: Sendable {
  public static let maximumPorts = 64
  /// How many first bytes of a frame it looks at, at most. What the guards need of usual frames.
  public static let headerBytes = 128
  /// A segmented frame of 64 KiB, its Ethernet header and two tags.
  public static let maximumFrame = 65_535 + 22

  struct Port: Sendable {
    var settings: PortSettings
    var isUp = true
    var counters = PortCounters()
  }

  var ports: [Port?]
  private(set) var connected = PortSet()
  private var table: MACTable
  /// Each port's own address, or 0: looked through for every frame.
  private var owners = [UInt64](repeating: 0, count: maximumPorts)
  /// Addresses that found no room in the table.
  public private(set) var unlearned: UInt64 = 0

  /// Times are nanoseconds of one clock that does not run backwards; `seed` should be hard to guess.
  public init(
    addresses: Int = 4096, addressesPerPort: Int = 2048, lifetime: UInt64 = 300_000_000_000, seed: UInt64
  ) {
    ports = [Port?](repeating: nil, count: Self.maximumPorts)
    table = MACTable(capacity: addresses, perPort: addressesPerPort, lifetime: lifetime, seed: seed)
  }

  // MARK: Ports

  public mutating func connect(_ settings: PortSettings) throws(SwitchError) -> PortID {
    try settings.check()
    guard let place = ports.firstIndex(where: { $0 == nil }) else { throw .full(Self.maximumPorts) }
    let port = PortID(rawValue: UInt8(place))
    if let address = settings.address, owner(of: address) != nil { throw .addressTaken(address, by: "") }
    ports[place] = Port(settings: settings)
    owners[place] = settings.address?.rawValue ?? 0
    connected.insert(port)
    return port
  }

  public mutating func disconnect(_ port: PortID) {
    ports[Int(port.rawValue)] = nil
    owners[Int(port.rawValue)] = 0
    connected.remove(port)
    table.forget(port)
  }

  /// What was learned at the port is forgotten.
  public mutating func set(_ settings: PortSettings, at port: PortID) throws(SwitchError) {
    try settings.check()
    guard ports[Int(port.rawValue)] != nil else { throw .closed }
    if let address = settings.address, let owner = owner(of: address), owner != port {
      throw .addressTaken(address, by: "")
    }
    ports[Int(port.rawValue)]?.settings = settings
    owners[Int(port.rawValue)] = settings.address?.rawValue ?? 0
    table.forget(port)
  }

  /// A port whose link is down gets nothing.
  public mutating func setLink(up: Bool, at port: PortID) {
    ports[Int(port.rawValue)]?.isUp = up
    if !up { table.forget(port) }
  }

  public func settings(of port: PortID) -> PortSettings? { ports[Int(port.rawValue)]?.settings }
  public func isUp(_ port: PortID) -> Bool { ports[Int(port.rawValue)]?.isUp ?? false }
  public func counters(of port: PortID) -> PortCounters? { ports[Int(port.rawValue)]?.counters }
  public func addresses(now: UInt64) -> [LearnedAddress] { table.all(now: now) }
  public var addressCount: Int { table.count }
  public var addressCapacity: Int { table.capacity }

  /// Gives room of old addresses free; lookups ignore them anyway.
  public mutating func forgetOld(now: UInt64) { table.forgetOld(now: now) }

  /// The port whose own address this is.
  func owner(of address: MACAddress) -> PortID? {
    guard address != .zero else { return nil }
    for port in connected where owners[Int(port.rawValue)] == address.rawValue { return port }
    return nil
  }

  // MARK: Frames

  /// Judges a frame that came in at `source`. `header` holds its first bytes (all of a shorter frame; `headerBytes` or
  /// more of a longer one, for the guards), `byteCount` all of its bytes, `tag` what came beside it.
  public mutating func forward(
    _ header: RawSpan, byteCount: Int, tag: VLANTag? = nil, offloads: FrameOffloads = .none, from source: PortID,
    now: UInt64
  ) -> Forwarding {
    var result = Forwarding()
    guard let port = ports[Int(source.rawValue)], port.isUp else {
      result.drop = .linkDown
      ports[Int(source.rawValue)]?.counters.drop(.linkDown)
      return result
    }
    let frame = FrameHeader(header, byteCount: byteCount, tag: tag)
    do throws(Refusal) {
      let vlan = try admit(frame, offloads, from: source, port.settings, now)
      result.tag = (frame.tag ?? VLANTag(rawValue: 0)).with(vlan)
      result.hasTagInBytes = frame.hasTagInBytes
      result.tagInBytes = VLANTag(rawValue: frame.hasTagInBytes ? header.word(14) : 0)
      count(received: byteCount, at: source)
      let receivers = receivers(of: frame, in: vlan, from: source, port.settings, now)
      for receiver in receivers { leave(at: receiver, frame, offloads, vlan, &result) }
      if receivers.isEmpty { throw Refusal(reason: .noReceiver) }
    } catch {
      result.drop = error.reason
      ports[Int(source.rawValue)]?.counters.drop(error.reason)
    }
    return result
  }

  /// The receiver at `port` could not take a frame that `forward` sent there. `byteCount` as it would have left.
  public mutating func refused(_ reason: DropReason, byteCount: Int, at port: PortID) {
    guard var counters = ports[Int(port.rawValue)]?.counters else { return }
    counters.sentFrames &-= 1
    counters.sentBytes &-= UInt64(max(0, byteCount))
    counters.drop(reason)
    ports[Int(port.rawValue)]?.counters = counters
  }

  private struct Refusal: Error { let reason: DropReason }

  private mutating func admit(
    _ frame: FrameHeader, _ offloads: FrameOffloads, from source: PortID, _ settings: PortSettings, _ now: UInt64
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
    if !settings.hasOneAddress, !table.learn(frame.source, in: vlan, at: source, now: now) { unlearned &+= 1 }
    return vlan
  }

  private func receivers(
    of frame: FrameHeader, in vlan: VLANID, from source: PortID, _ settings: PortSettings, _ now: UInt64
  ) -> PortSet {
    var result = PortSet()
    if !frame.destination.isMulticast {
      if let owner = owner(of: frame.destination), ports[Int(owner.rawValue)]?.settings.vlan.carries(vlan) == true {
        if may(settings, owner, vlan), owner != source { result.insert(owner) }
        return result
      }
      if let known = table.find(frame.destination, in: vlan, now: now) {
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

  private mutating func leave(
    at port: PortID, _ frame: FrameHeader, _ offloads: FrameOffloads, _ vlan: VLANID, _ result: inout Forwarding
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
      ports[Int(port.rawValue)]?.counters.drop(reason)
      return
    }
    result.ports.insert(port)
    if isTagged { result.tagged.insert(port) }
    let byteCount = frame.byteCount - (frame.hasTagInBytes ? 4 : 0) + (isTagged ? 4 : 0)
    ports[Int(port.rawValue)]?.counters.sentFrames &+= 1
    ports[Int(port.rawValue)]?.counters.sentBytes &+= UInt64(byteCount)
  }

  private mutating func count(received byteCount: Int, at port: PortID) {
    ports[Int(port.rawValue)]?.counters.receivedFrames &+= 1
    ports[Int(port.rawValue)]?.counters.receivedBytes &+= UInt64(byteCount)
  }

  // MARK: Invariants

  /// What holds between any two calls; for tests and the fuzzer.
  public func checkInvariants() -> Bool {
    var count = 0
    for port in ports.indices {
      let id = PortID(rawValue: UInt8(port))
      guard (ports[port] != nil) == connected.contains(id) else { return false }
      if ports[port] == nil, table.count(of: id) != 0 { return false }
      guard owners[port] == ports[port]?.settings.address?.rawValue ?? 0 else { return false }
      count += table.count(of: id)
    }
    return count == table.count && count <= table.capacity && table.all(now: 0).count == count
  }
}
