// SPDX-License-Identifier: Apache-2.0

/// A virtual switch that runs: the answer of `GET /v1/switch`.
public struct SwitchDescription: Codable, Hashable, Sendable {
  /// Hyper-V's words.
  public enum Kind: String, Codable, CaseIterable, Sendable {
    /// Leads out of the host.
    case external
    /// Connects machines and the host.
    case `internal`
    /// Connects machines only.
    case `private`
  }

  public var name: String
  public var kind: Kind
  /// What it leads to; absent for a private one.
  public var uplink: String?
  public var mtu: Int
  /// Where machines attach.
  public var portSocket: String
  public var processId: Int
  public var ports: [SwitchPortDescription]
  /// How many addresses it has learned.
  public var addressCount: Int
  public var captures: [SwitchCapture]

  public init(
    name: String, kind: Kind, uplink: String?, mtu: Int, portSocket: String, processId: Int,
    ports: [SwitchPortDescription], addressCount: Int, captures: [SwitchCapture]
  ) {
    self.name = name
    self.kind = kind
    self.uplink = uplink
    self.mtu = mtu
    self.portSocket = portSocket
    self.processId = processId
    self.ports = ports
    self.addressCount = addressCount
    self.captures = captures
  }
}
