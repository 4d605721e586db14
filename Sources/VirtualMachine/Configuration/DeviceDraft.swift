// SPDX-License-Identifier: Apache-2.0

/// A device as the user wrote it: a path and other texts by key, each with its place. What flags and YAML lists of
/// devices have in common; what the texts mean is the business of each kind of device.
public struct DeviceDraft: Sendable {
  public typealias Setting = ConfigurationDraft.Setting

  public static let path = "path"

  /// Where the device as a whole stands.
  public let source: String
  public private(set) var settings: [String: Setting] = [:]

  public init(source: String) { self.source = source }

  public mutating func set(_ key: String, _ text: String, from source: String) throws(ConfigurationError) {
    guard settings.updateValue(Setting(text, source), forKey: key) == nil else {
      throw ConfigurationError(source: source, "\"\(key)\" is given twice", remedy: "remove one of them")
    }
  }

  /// From a flag's `PATH,key=value,key…`. A key alone means `yes`; a comma in a path or value is written twice.
  public init(
    flag text: String, first: String = DeviceDraft.path, from source: String
  ) throws(ConfigurationError) {
    self.init(source: source)
    for (index, part) in Self.parts(text).enumerated() {
      let equals = part.firstIndex(of: "=")
      switch (index, equals) {
      case (0, _): if !part.isEmpty { try set(first, part, from: source) }
      case (_, let equals?) where equals != part.startIndex:
        try set(String(part[..<equals]), String(part[part.index(after: equals)...]), from: source)
      case (_, nil) where !part.isEmpty: try set(part, "yes", from: source)
      default:
        throw ConfigurationError(
          source: source, "\"\(text)\" has a comma without a key behind it",
          remedy: "use PATH,key=value; a comma in a path is written twice")
      }
    }
  }

  private static func parts(_ text: String) -> [String] {
    var parts = [""]
    var rest = text[...]
    while let character = rest.popFirst() {
      if character != "," {
        parts[parts.count - 1].append(character)
      } else if rest.first == "," {
        rest.removeFirst()
        parts[parts.count - 1].append(",")
      } else {
        parts.append("")
      }
    }
    return parts
  }

  /// Makes the path absolute.
  mutating func resolvePath(_ resolve: (String) -> String) {
    guard let path = settings[Self.path], !path.text.isEmpty else { return }
    settings[Self.path] = Setting(resolve(path.text), path.source)
  }

  // MARK: What the texts mean

  /// Refuses keys that this kind of device does not have. `what`: "a disk".
  func checkKeys(_ known: [String], what: String) throws(ConfigurationError) {
    for (key, setting) in settings.sorted(by: { $0.key < $1.key }) where !known.contains(key) {
      throw ConfigurationError.unknown(
        "\(what) has no \"\(key)\"", key, known: known, source: setting.source,
        hint: setting.source.hasPrefix("--")
          ? "it has \(known.joined(separator: ", ")); a comma in a path is written twice" : nil)
    }
  }

  func isOn(_ key: String) throws(ConfigurationError) -> Bool? {
    guard let setting = settings[key] else { return nil }
    switch setting.text {
    case "on", "true", "yes": return true
    case "off", "false", "no": return false
    default:
      throw ConfigurationError(
        source: setting.source, "\(key) cannot be \"\(setting.text)\"", remedy: "use yes or no, on or off")
    }
  }

  func number(_ key: String, in range: ClosedRange<Int>) throws(ConfigurationError) -> Int? {
    guard let setting = settings[key] else { return nil }
    guard let number = Int(setting.text), range.contains(number) else {
      throw ConfigurationError(
        source: setting.source, "\(key) cannot be \"\(setting.text)\"",
        remedy: "use \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func choice<Choice: RawRepresentable<String>>(
    _ key: String, of choices: [Choice]
  ) throws(ConfigurationError) -> Choice? {
    guard let setting = settings[key] else { return nil }
    guard let choice = choices.first(where: { $0.rawValue == setting.text }) else {
      throw ConfigurationError(
        source: setting.source, "\(key) cannot be \"\(setting.text)\"",
        remedy: "use \(choices.map(\.rawValue).joined(separator: ", "))")
    }
    return choice
  }
}
