// SPDX-License-Identifier: Apache-2.0

/// The name of a machine: 1 to 40 letters, digits, dots, hyphens and underscores, the first a letter or digit. It names
/// a folder and stands in a socket's path, which may have 107 bytes in all.
public struct MachineName: Hashable, Sendable, CustomStringConvertible {
  public let text: String

  public static let maximumLength = 40

  public init?(_ text: String) {
    let bytes = text.utf8
    guard let first = bytes.first, bytes.count <= Self.maximumLength, Self.isAlphanumeric(first),
      bytes.allSatisfy({ Self.isAlphanumeric($0) || $0 == 0x2d || $0 == 0x2e || $0 == 0x5f })
    else { return nil }
    self.text = text
  }

  public static func parse(_ text: String) throws(ControlError) -> MachineName {
    guard let name = MachineName(text) else {
      throw ControlError(
        .configuration, "\"\(text)\" cannot be a machine's name",
        remedy: "use 1 to \(maximumLength) letters, digits, dots, hyphens and underscores, the first a letter or digit")
    }
    return name
  }

  public var description: String { text }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
    default: false
    }
  }
}
