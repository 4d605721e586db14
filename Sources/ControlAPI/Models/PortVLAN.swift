// SPDX-License-Identifier: Apache-2.0

/// How a port takes part in VLANs.
public struct PortVLAN: Codable, Hashable, Sendable, CustomStringConvertible {
  public enum Mode: String, Codable, CaseIterable, Sendable { case untagged, access, trunk }

  public var mode: Mode
  /// Of an access port, 1 to 4094.
  public var id: Int?
  /// Of a trunk: what it carries with tags, such as `1-10,20`.
  public var allowed: String?
  /// Of a trunk: what it carries without a tag; absent for the network without a VLAN.
  public var native: Int?

  public init(mode: Mode, id: Int? = nil, allowed: String? = nil, native: Int? = nil) {
    self.mode = mode
    self.id = id
    self.allowed = allowed
    self.native = native
  }

  public var description: String {
    switch mode {
    case .untagged: "untagged"
    case .access: "access \(id ?? 0)"
    case .trunk: "trunk \(allowed ?? "")" + (native.map { " native \($0)" } ?? "")
    }
  }
}
