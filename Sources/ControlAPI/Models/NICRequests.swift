// SPDX-License-Identifier: Apache-2.0

/// The body of `POST /v1/nics`. What the texts mean is the business of the machine, which reads flags and files, too.
public struct NICRequest: StrictlyDecodable, Encodable, Hashable {
  /// `user`, `tap:NAME`, `interface:NAME` or `none`.
  public var connection: String
  /// Absent: `nic0` or the next one free.
  public var name: String?
  /// Absent: one that is the same each time.
  public var mac: String?
  /// `untagged`, `access 5` or `trunk 1-10,20 native 1`. Absent: untagged.
  public var vlan: String?
  /// Absent: 1500.
  public var mtu: Int?
  public var spoofing: Bool?
  public var isolated: Bool?
  public var routerGuard: Bool?
  public var dhcpGuard: Bool?
  /// Absent: as many as processors.
  public var channels: Int?
  /// The guest signals the adapter through the monitor page: for drivers outside of its kernel.
  public var monitored: Bool?
  /// Ports of the host that lead to the guest: `tcp:2222:22`. For `user` only.
  public var forwards: [String]?

  public init(
    connection: String, name: String? = nil, mac: String? = nil, vlan: String? = nil, mtu: Int? = nil,
    spoofing: Bool? = nil, isolated: Bool? = nil, routerGuard: Bool? = nil, dhcpGuard: Bool? = nil,
    channels: Int? = nil, monitored: Bool? = nil, forwards: [String]? = nil
  ) {
    self.connection = connection
    self.name = name
    self.mac = mac
    self.vlan = vlan
    self.mtu = mtu
    self.spoofing = spoofing
    self.isolated = isolated
    self.routerGuard = routerGuard
    self.dhcpGuard = dhcpGuard
    self.channels = channels
    self.monitored = monitored
    self.forwards = forwards
  }

  public static let knownFields: Set<String> = [
    "connection", "name", "mac", "vlan", "mtu", "spoofing", "isolated", "routerGuard", "dhcpGuard", "channels",
    "monitored", "forwards",
  ]
}

/// The body of `PUT /v1/nics/{name}/connection`.
public struct NICConnectionRequest: StrictlyDecodable, Encodable, Hashable {
  public var connection: String
  /// For `user` only. Absent: none.
  public var forwards: [String]?

  public init(connection: String, forwards: [String]? = nil) {
    self.connection = connection
    self.forwards = forwards
  }

  public static let knownFields: Set<String> = ["connection", "forwards"]
}

/// The body of `PUT /v1/nics/{name}/vlan`.
public struct NICVLANRequest: StrictlyDecodable, Encodable, Hashable {
  /// `untagged`, `access 5` or `trunk 1-10,20 native 1`.
  public var vlan: String

  public init(vlan: String) { self.vlan = vlan }

  public static let knownFields: Set<String> = ["vlan"]
}

/// The body of `PUT /v1/nics/{name}/guards`: what is absent stays as it is.
public struct NICGuardsRequest: StrictlyDecodable, Encodable, Hashable {
  public var spoofing: Bool?
  public var isolated: Bool?
  public var routerGuard: Bool?
  public var dhcpGuard: Bool?

  public init(
    spoofing: Bool? = nil, isolated: Bool? = nil, routerGuard: Bool? = nil, dhcpGuard: Bool? = nil
  ) {
    self.spoofing = spoofing
    self.isolated = isolated
    self.routerGuard = routerGuard
    self.dhcpGuard = dhcpGuard
  }

  public static let knownFields: Set<String> = ["spoofing", "isolated", "routerGuard", "dhcpGuard"]
}

/// The body of `PUT /v1/nics/{name}/link`.
public struct NICLinkRequest: StrictlyDecodable, Encodable, Hashable {
  public var link: AttachedAdapter.Link

  public init(link: AttachedAdapter.Link) { self.link = link }

  public static let knownFields: Set<String> = ["link"]
}

/// The body of `POST /v1/nics/{name}/capture`.
public struct NICCaptureRequest: StrictlyDecodable, Encodable, Hashable {
  /// Absolute path of the file to write.
  public var path: String
  /// Bytes of each frame to keep. Absent: all.
  public var snapLength: Int?
  /// Absent: a file that exists is refused.
  public var overwrite: Bool?

  public init(path: String, snapLength: Int? = nil, overwrite: Bool? = nil) {
    self.path = path
    self.snapLength = snapLength
    self.overwrite = overwrite
  }

  public static let knownFields: Set<String> = ["path", "snapLength", "overwrite"]

  /// From a header's length to more than the largest frame has.
  public static let snapLengths = 64...262_144

  func check() throws(ControlError) {
    try DiskRules.check(path)
    try DiskRules.check(snapLength, "snapLength", Self.snapLengths)
  }
}
