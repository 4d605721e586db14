// SPDX-License-Identifier: Apache-2.0

import VirtualSwitch

/// A VLAN mode as people write it, the same everywhere: `untagged`, `access 5`, `trunk 1-10,20`, `trunk all native 1`.
extension VLANMode {
  static let forms = "untagged, access ID or trunk LIST [native ID], such as trunk 1-10,20 native 1"

  var words: String {
    switch self {
    case .untagged: return "untagged"
    case .access(let id): return "access \(id)"
    case .trunk(let allowed, let native):
      let list = allowed == .all ? "all" : allowed.description
      return "trunk \(list)" + (native == .none ? "" : " native \(native)")
    }
  }

  init(words text: String, from source: String) throws(ConfigurationError) {
    let words = text.split(separator: " ")
    switch (words.first, words.count) {
    case ("untagged", 1): self = .untagged
    case ("access", 2): self = .access(try Self.id(words[1], source))
    case ("trunk", 2): self = .trunk(allowed: try Self.list(words[1], source), native: .none)
    case ("trunk", 4) where words[2] == "native":
      self = .trunk(allowed: try Self.list(words[1], source), native: try Self.id(words[3], source))
    default:
      throw ConfigurationError(source: source, "\"\(text)\" is no VLAN mode", remedy: "use \(Self.forms)")
    }
  }

  private static func id(_ text: Substring, _ source: String) throws(ConfigurationError) -> VLANID {
    guard let number = Int(text), let id = VLANID(number) else {
      throw ConfigurationError(
        source: source, "\"\(text)\" is no VLAN's number", remedy: "use a number from 1 to 4094")
    }
    return id
  }

  /// A comma separates the keys of a flag, so `+` does for it there.
  static func list(_ text: some StringProtocol, _ source: String) throws(ConfigurationError) -> VLANSet {
    let plain = text == "all" ? "1-4094" : String(text.map { $0 == "+" ? "," : $0 })
    guard let set = VLANSet(plain) else {
      throw ConfigurationError(
        source: source, "\"\(text)\" is no list of VLANs",
        remedy: "use numbers from 1 to 4094 and ranges, such as 1-10,20 (behind a comma-separated flag 1-10+20), or all"
      )
    }
    return set
  }
}
