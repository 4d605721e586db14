// SPDX-License-Identifier: Apache-2.0

import ControlAPI

/// What an adapter is plugged into. People write `user`, `tap:NAME`, `interface:NAME`, `switch:NAME` or `none`.
public enum NetworkConnection: Codable, Hashable, Sendable, CustomStringConvertible {
  /// The host's network through address translation, without privileges.
  case user
  /// A TAP device of the host.
  case tap(String)
  /// A network interface of the host, beside whatever else the host does with it.
  case interface(String)
  /// A switch that several machines share.
  case `switch`(String)
  /// Nothing: the guest sees a cable that is not plugged in.
  case none

  public init?(_ text: String) {
    switch text {
    case "user": self = .user
    case "none": self = .none
    default:
      guard let colon = text.firstIndex(of: ":") else { return nil }
      let name = String(text[text.index(after: colon)...])
      if text.hasPrefix("switch:") {
        guard MachineName(name) != nil else { return nil }
        self = .switch(name)
        return
      }
      guard Self.isInterfaceName(name) else { return nil }
      switch text[..<colon] {
      case "tap": self = .tap(name)
      case "interface": self = .interface(name)
      default: return nil
      }
    }
  }

  /// Linux's rules (`dev_valid_name`): below 16 bytes, no slash, no colon, no space, not a folder's.
  private static func isInterfaceName(_ name: String) -> Bool {
    (1..<16).contains(name.utf8.count) && name != "." && name != ".."
      && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
  }

  public var description: String {
    switch self {
    case .user: "user"
    case .tap(let name): "tap:\(name)"
    case .interface(let name): "interface:\(name)"
    case .switch(let name): "switch:\(name)"
    case .none: "none"
    }
  }

  /// The forms there are, for messages.
  static let forms = "user, tap:NAME, interface:NAME, switch:NAME or none"
}
