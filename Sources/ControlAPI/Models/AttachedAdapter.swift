// SPDX-License-Identifier: Apache-2.0

/// A network adapter of a running machine: one line of `lis vm nic list`.
public struct AttachedAdapter: Codable, Hashable, Sendable {
  public enum Kind: String, Codable, CaseIterable, Sendable { case synthetic, legacy }
  public enum Link: String, Codable, CaseIterable, Sendable { case up, down }

  /// Hyper-V's limit of synthetic adapters.
  public static let maximumCount = 8

  public var name: String
  /// On the bus, or emulated (a DEC 21140 on PCI).
  public var kind: Kind
  /// The address that it was given.
  public var mac: String
  /// The address that the guest uses; another one only where that is allowed.
  public var guestMAC: String
  /// `user`, `tap:NAME`, `interface:NAME` or `none`.
  public var connection: String
  /// What the guest sees of its cable.
  public var link: Link
  /// `untagged`, `access 5` or `trunk 1-10,20 native 1`.
  public var vlan: String
  /// Payload bytes of a frame: the most that the guest may use, and what it uses.
  public var maximumMTU: Int
  public var mtu: Int
  /// Channels that carry frames: those that are open; 0 of a legacy adapter.
  public var channels: Int
  /// The guest signals it through the monitor page.
  public var monitored: Bool
  /// The version of Hyper-V's network protocol that the guest chose; absent before its driver is there.
  public var version: String?
  /// The guest may send from, and take, other addresses.
  public var spoofing: Bool
  /// Talks to the way out only, not to other isolated adapters.
  public var isolated: Bool
  /// The guest may not announce itself as a router.
  public var routerGuard: Bool
  /// The guest may not answer DHCP.
  public var dhcpGuard: Bool
  /// Ports of the host that lead to the guest.
  public var forwards: [String]
  public var counters: AdapterCounters
  /// What the switch has seen at the adapter's port since it was plugged in; absent where it is not.
  public var port: AdapterPort?
  /// The capture that runs.
  public var capture: AdapterCapture?

  public init(
    name: String, kind: Kind = .synthetic, mac: String, guestMAC: String? = nil, connection: String, link: Link = .up,
    vlan: String = "untagged", maximumMTU: Int = 1500, mtu: Int = 1500, channels: Int = 0, monitored: Bool = false,
    version: String? = nil, spoofing: Bool = false, isolated: Bool = false, routerGuard: Bool = false,
    dhcpGuard: Bool = false,
    forwards: [String] = [], counters: AdapterCounters = AdapterCounters(), port: AdapterPort? = nil,
    capture: AdapterCapture? = nil
  ) {
    self.name = name
    self.kind = kind
    self.mac = mac
    self.guestMAC = guestMAC ?? mac
    self.connection = connection
    self.link = link
    self.vlan = vlan
    self.maximumMTU = maximumMTU
    self.mtu = mtu
    self.channels = channels
    self.monitored = monitored
    self.version = version
    self.spoofing = spoofing
    self.isolated = isolated
    self.routerGuard = routerGuard
    self.dhcpGuard = dhcpGuard
    self.forwards = forwards
    self.counters = counters
    self.port = port
    self.capture = capture
  }
}

/// What an adapter has done since it was added, as its guest sees it.
public struct AdapterCounters: Codable, Hashable, Sendable {
  public var sentFrames: UInt64
  public var sentBytes: UInt64
  public var receivedFrames: UInt64
  public var receivedBytes: UInt64
  /// Frames of the guest's that contradict themselves.
  public var sendErrors: UInt64
  /// Frames that the guest could not have: longer than it takes, or it was not ready.
  public var receiveErrors: UInt64
  /// Frames for which the guest had no buffer left.
  public var withoutBuffer: UInt64

  public init(
    sentFrames: UInt64 = 0, sentBytes: UInt64 = 0, receivedFrames: UInt64 = 0, receivedBytes: UInt64 = 0,
    sendErrors: UInt64 = 0, receiveErrors: UInt64 = 0, withoutBuffer: UInt64 = 0
  ) {
    self.sentFrames = sentFrames
    self.sentBytes = sentBytes
    self.receivedFrames = receivedFrames
    self.receivedBytes = receivedBytes
    self.sendErrors = sendErrors
    self.receiveErrors = receiveErrors
    self.withoutBuffer = withoutBuffer
  }
}

/// An adapter's port of a switch.
public struct AdapterPort: Codable, Hashable, Sendable {
  /// Frames from the guest that the switch took, and frames for it.
  public var framesFromGuest: UInt64
  public var framesToGuest: UInt64
  /// Frames that did not go on here, by reason; reasons that did not occur are left out.
  public var drops: [String: UInt64]

  public init(framesFromGuest: UInt64 = 0, framesToGuest: UInt64 = 0, drops: [String: UInt64] = [:]) {
    self.framesFromGuest = framesFromGuest
    self.framesToGuest = framesToGuest
    self.drops = drops
  }
}

/// A capture of what passes an adapter's port, in a pcapng file.
public struct AdapterCapture: Codable, Hashable, Sendable {
  public var path: String
  public var frames: UInt64
  /// Frames for which there was no room because the file was slow.
  public var leftOut: UInt64
  /// Why nothing is written any more.
  public var failure: String?

  public init(path: String, frames: UInt64 = 0, leftOut: UInt64 = 0, failure: String? = nil) {
    self.path = path
    self.frames = frames
    self.leftOut = leftOut
    self.failure = failure
  }

  /// A capture of a switch that machines share.
  public init(_ capture: SwitchCapture) {
    self.init(path: capture.path, frames: capture.frames, leftOut: capture.leftOut, failure: capture.failure)
  }
}
