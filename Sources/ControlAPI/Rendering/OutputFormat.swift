// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// How a command prints: for people, or for programs.
public enum OutputFormat: String, CaseIterable, Sendable {
  case table
  case json
}

/// How text for people looks.
public struct TextStyle: Sendable {
  /// Colours are for terminals only.
  public var colour: Bool

  public init(colour: Bool) { self.colour = colour }

  public static let plain = TextStyle(colour: false)

  public enum Tone: String, Sendable {
    case good = "32"
    case warning = "33"
    case bad = "31"
    case faint = "2"
    case heading = "1"
  }

  func paint(_ text: String, _ tone: Tone?) -> String {
    guard colour, let tone else { return text }
    return "\u{1b}[\(tone.rawValue)m\(text)\u{1b}[0m"
  }
}

/// JSON for programs: sorted keys, one value, a newline at the end.
public enum JSONText {
  public static func pretty(_ value: some Encodable) -> String { text(value, [.prettyPrinted]) }
  /// In one line, for streams.
  public static func line(_ value: some Encodable) -> String { text(value, []) }

  private static func text(_ value: some Encodable, _ extra: JSONEncoder.OutputFormatting) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = extra.union([.sortedKeys, .withoutEscapingSlashes])
    guard let data = try? encoder.encode(value) else { return "null\n" }
    return String(decoding: data, as: UTF8.self) + "\n"
  }
}
