// SPDX-License-Identifier: Apache-2.0

/// The body of `PATCH /v1/switch/ports/{port}`: what is absent stays as it is.
public struct SwitchPortUpdate: StrictlyDecodable, Encodable, Hashable {
  public var vlan: PortVLAN?
  public var allowSpoofing: Bool?
  public var isolated: Bool?
  public var routerGuard: Bool?
  public var dhcpGuard: Bool?

  public init(
    vlan: PortVLAN? = nil, allowSpoofing: Bool? = nil, isolated: Bool? = nil, routerGuard: Bool? = nil,
    dhcpGuard: Bool? = nil
  ) {
    self.vlan = vlan
    self.allowSpoofing = allowSpoofing
    self.isolated = isolated
    self.routerGuard = routerGuard
    self.dhcpGuard = dhcpGuard
  }

  public static let knownFields: Set<String> = ["vlan", "allowSpoofing", "isolated", "routerGuard", "dhcpGuard"]
}

/// The body of `POST /v1/switch/captures`.
public struct SwitchCaptureRequest: StrictlyDecodable, Encodable, Hashable {
  /// An absolute path on the host; a file that is there is replaced.
  public var path: String
  /// Names of ports; absent: all.
  public var ports: [String]?
  /// Bytes of each frame, 64 to 262144.
  public var snapLength: Int?

  public init(path: String, ports: [String]? = nil, snapLength: Int? = nil) {
    self.path = path
    self.ports = ports
    self.snapLength = snapLength
  }

  public static let knownFields: Set<String> = ["path", "ports", "snapLength"]
}

/// A capture of a switch.
public struct SwitchCapture: Codable, Hashable, Sendable {
  public var path: String
  public var frames: UInt64
  /// Frames that the file was too slow for.
  public var leftOut: UInt64
  /// Why nothing is written any more.
  public var failure: String?

  public init(path: String, frames: UInt64, leftOut: UInt64, failure: String? = nil) {
    self.path = path
    self.frames = frames
    self.leftOut = leftOut
    self.failure = failure
  }
}
