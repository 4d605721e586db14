// SPDX-License-Identifier: Apache-2.0

import ControlAPI

/// How each text becomes a value, and what is said when it does not.
extension ConfigurationDraft {
  static let processorRange = 1...8
  /// The kernel's own limit on x86 (`COMMAND_LINE_SIZE`), the terminating zero included.
  static let commandLineBytes = 2048

  static func processors(_ setting: Setting, _: Key) throws(ConfigurationError) -> Int {
    guard let count = Int(setting.text), processorRange.contains(count) else {
      throw ConfigurationError(
        source: setting.source, "\"\(setting.text)\" is not a number of processors",
        remedy: "use \(processorRange.lowerBound) to \(processorRange.upperBound)")
    }
    return count
  }

  static func memory(_ setting: Setting, _: Key) throws(ConfigurationError) -> ByteCount {
    guard let size = ByteCount(setting.text) else {
      throw ConfigurationError(
        source: setting.source, "\"\(setting.text)\" is not a size",
        remedy: "use a number with K, M, G or T, such as 512M or 2G")
    }
    guard size >= .minimumMemory, size <= .maximumMemory else {
      throw ConfigurationError(
        source: setting.source, "\(setting.text) of memory is too \(size < .minimumMemory ? "little" : "much")",
        remedy: "use \(ByteCount.minimumMemory) to \(ByteCount.maximumMemory), and no more than the host has")
    }
    guard size.rawValue.isMultiple(of: 1 << 20) else {
      throw ConfigurationError(
        source: setting.source, "\(setting.text) of memory is not a whole number of mebibytes",
        remedy: "use \(ByteCount(rawValue: (size.rawValue >> 20) << 20))")
    }
    return size
  }

  static func serial(_ setting: Setting, _: Key) throws(ConfigurationError) -> SerialConsole {
    switch setting.text {
    case "interactive": return .interactive
    case "off": return .off
    case let text where text.hasPrefix("file:") && text.utf8.count > 5: return .file(String(text.dropFirst(5)))
    default:
      throw ConfigurationError(
        source: setting.source, "\"\(setting.text)\" is no place for the serial console",
        remedy: "use interactive, off or file:PATH")
    }
  }

  static func busVersion(_ setting: Setting, _: Key) throws(ConfigurationError) -> BusVersion {
    guard let version = BusVersion.supported.first(where: { $0.description == setting.text }) else {
      throw ConfigurationError(
        source: setting.source, "\"\(setting.text)\" is not a VMBus version that a guest can be held to",
        remedy: "use \(BusVersion.supported.map(\.description).joined(separator: ", "))")
    }
    return version
  }

  static func commandLine(_ setting: Setting, _: Key) throws(ConfigurationError) -> String {
    guard setting.text.utf8.count < commandLineBytes else {
      throw ConfigurationError(
        source: setting.source, "the kernel's command line has \(setting.text.utf8.count) bytes",
        remedy: "Linux takes \(commandLineBytes - 1)")
    }
    guard setting.text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
      throw ConfigurationError(
        source: setting.source, "the kernel's command line holds a control character", remedy: "write it in one line")
    }
    return setting.text
  }

  static func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ setting: Setting, _ key: Key
  ) throws(ConfigurationError) -> Choice { try choice(setting, key.rawValue) }

  static func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ setting: Setting, _ key: String
  ) throws(ConfigurationError) -> Choice {
    guard let choice = Choice(rawValue: setting.text) else {
      throw ConfigurationError(
        source: setting.source, "\"\(setting.text)\" is no choice for \(key)",
        remedy: "use \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return choice
  }

  static func service(_ text: String, _ source: String) throws(ConfigurationError) -> ServiceName {
    guard let name = ServiceName(rawValue: text) else {
      throw ConfigurationError(
        source: source, "there is no service \"\(text)\"",
        remedy: "services are \(ServiceName.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return name
  }

  static func isOn(_ setting: Setting) throws(ConfigurationError) -> Bool {
    switch setting.text {
    case "on", "true", "yes": return true
    case "off", "false", "no": return false
    default:
      throw ConfigurationError(
        source: setting.source, "a service cannot be \"\(setting.text)\"", remedy: "use on or off")
    }
  }
}

extension ByteCount: CustomStringConvertible {
  private static let units: [(letter: Character, shift: UInt64)] = [("T", 40), ("G", 30), ("M", 20), ("K", 10)]

  /// `512M`, `2G`, `1GiB`, plain bytes. `nil` for anything else, overflow included.
  public init?(_ text: String) {
    var digits = Substring(text)
    if digits.hasSuffix("iB") { digits = digits.dropLast(2) }
    var shift: UInt64 = 0
    if let last = digits.last, let unit = Self.units.first(where: { String($0.letter) == last.uppercased() }) {
      shift = unit.shift
      digits = digits.dropLast()
    }
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt64(digits) else {
      return nil
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
    guard !overflow else { return nil }
    rawValue = bytes
  }

  /// In the largest unit that leaves a whole number.
  public var description: String {
    for unit in Self.units where rawValue != 0 && rawValue.isMultiple(of: 1 << unit.shift) {
      return "\(rawValue >> unit.shift)\(unit.letter)"
    }
    return "\(rawValue)"
  }
}
