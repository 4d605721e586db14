// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
public import VirtualSwitch

extension PortVLAN {
  /// From the words that people write: `untagged`, `access 5`, `trunk 1-10,20 native 1`.
  public init(words: String, from source: String) throws(ConfigurationError) {
    self.init(try VLANMode(words: words, from: source))
  }

  public init(_ mode: VLANMode) {
    switch mode {
    case .untagged: self.init(mode: .untagged)
    case .access(let id): self.init(mode: .access, id: Int(id.rawValue))
    case .trunk(let allowed, let native):
      self.init(mode: .trunk, allowed: allowed.description, native: native == .none ? nil : Int(native.rawValue))
    }
  }

  /// Refuses ids outside 1–4094, lists that are none, and fields of another mode.
  public func vlanMode() throws(ControlError) -> VLANMode {
    switch mode {
    case .untagged:
      guard id == nil, allowed == nil, native == nil else { throw Self.foreign("untagged", "neither id nor VLANs") }
      return .untagged
    case .access:
      guard allowed == nil, native == nil else { throw Self.foreign("access", "an id only") }
      return .access(try Self.id(id, "id"))
    case .trunk:
      guard id == nil else { throw Self.foreign("trunk", "allowed VLANs and a native one") }
      guard let set = VLANSet(allowed ?? "") else {
        throw ControlError(
          .configuration, "\"\(allowed ?? "")\" is no list of VLANs",
          remedy: "use numbers and ranges from 1 to 4094, such as 1-10,20")
      }
      return .trunk(allowed: set, native: native == nil ? .none : try Self.id(native, "native"))
    }
  }

  private static func id(_ number: Int?, _ field: String) throws(ControlError) -> VLANID {
    guard let number else {
      throw ControlError(.configuration, "the VLAN's \(field) is missing", remedy: "use a number from 1 to 4094")
    }
    guard let id = VLANID(number) else { throw ControlError(SwitchError.vlanOutOfRange(number)) }
    return id
  }

  private static func foreign(_ mode: String, _ fields: String) -> ControlError {
    ControlError(.configuration, "a VLAN mode of \(mode) takes \(fields)")
  }
}
