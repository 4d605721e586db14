// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Yams

/// Reads a machine's YAML file into a draft. Keys are those of the flags; paths are relative to the file's folder.
public enum ConfigurationFile {
  /// A machine's description fits into a page; this is a guard against a wrong file.
  static let maximumBytes = 1 << 20

  public static func read(_ path: String) throws(ConfigurationError) -> ConfigurationDraft {
    let bytes = try FileProbe(path, what: "the configuration").contents(maximum: maximumBytes)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ConfigurationError(source: path, "the configuration is not valid UTF-8", remedy: "name a YAML file")
    }
    let folder = path.contains("/") ? String(path[...(path.lastIndex(of: "/") ?? path.startIndex)].dropLast()) : "."
    return try parse(text, path: path, folder: folder.isEmpty ? "/" : folder)
  }

  static func parse(_ text: String, path: String, folder: String) throws(ConfigurationError) -> ConfigurationDraft {
    let root: Node?
    do {
      root = try Yams.compose(yaml: text)
    } catch {
      throw explain(error, path, text)
    }
    guard let root else {
      throw ConfigurationError(source: path, "the file is empty", remedy: "describe a machine: name, kernel …")
    }
    guard let mapping = root.mapping else {
      throw ConfigurationError(source: place(root, path), "this is not a list of keys and values")
    }
    var draft = ConfigurationDraft()
    for (keyNode, value) in mapping {
      let source = place(keyNode, path)
      guard let keyText = keyNode.scalar?.string else {
        throw ConfigurationError(source: source, "a key must be plain text")
      }
      switch keyText {
      case "services":
        for (service, setting) in try children(of: value, "services", path) {
          draft.set(service: service, setting.text, from: setting.source)
        }
      case "kvp":
        for (key, setting) in try children(of: value, "kvp", path) {
          draft.set(keyValue: key, setting.text, from: setting.source)
        }
      default:
        if let list = ConfigurationDraft.DeviceList(rawValue: keyText) {
          for device in try devices(of: value, list, path) {
            draft.add(device, to: list) { FilePath.join(folder, $0) }
          }
          continue
        }
        guard let key = ConfigurationDraft.Key(rawValue: keyText) else { throw unknown(keyText, source) }
        let text = try scalar(value, keyText, path)
        draft.set(key, resolved(text, key, folder), from: source)
      }
    }
    return draft
  }

  private static func resolved(_ text: String, _ key: ConfigurationDraft.Key, _ folder: String) -> String {
    switch key {
    case .kernel, .initramfs: FilePath.join(folder, text)
    case .serial where text.hasPrefix("file:") && text.utf8.count > 5:
      "file:" + FilePath.join(folder, String(text.dropFirst(5)))
    default: text
    }
  }

  /// A list in which each item is a path, or the keys and values of a device.
  private static func devices(
    of node: Node, _ list: ConfigurationDraft.DeviceList, _ path: String
  ) throws(ConfigurationError) -> [DeviceDraft] {
    let key = list.rawValue
    guard let items = node.sequence else {
      throw ConfigurationError(
        source: place(node, path), "\"\(key)\" must be a list", remedy: "begin each item with \"- \(list.firstKey): …\""
      )
    }
    var devices: [DeviceDraft] = []
    for item in items {
      let source = place(item, path)
      var device = DeviceDraft(source: source)
      if item.mapping != nil {
        for (key, setting) in try children(of: item, key, path) {
          try device.set(key, setting.text, from: setting.source)
        }
      } else {
        try device.set(list.firstKey, try scalar(item, "an item of \(key)", path), from: source)
      }
      devices.append(device)
    }
    return devices
  }

  private static func children(
    of node: Node, _ key: String, _ path: String
  ) throws(ConfigurationError) -> [(String, ConfigurationDraft.Setting)] {
    guard let mapping = node.mapping else {
      throw ConfigurationError(
        source: place(node, path), "\"\(key)\" must be a list of keys and values", remedy: "indent one per line")
    }
    var children: [(String, ConfigurationDraft.Setting)] = []
    for (keyNode, value) in mapping {
      let source = place(keyNode, path)
      guard let name = keyNode.scalar?.string else {
        throw ConfigurationError(source: source, "a key must be plain text")
      }
      children.append((name, ConfigurationDraft.Setting(try scalar(value, name, path), source)))
    }
    return children
  }

  private static func scalar(_ node: Node, _ key: String, _ path: String) throws(ConfigurationError) -> String {
    guard let scalar = node.scalar else {
      throw ConfigurationError(source: place(node, path), "\"\(key)\" must be one value, not a list")
    }
    // `key:` with nothing behind it is a forgotten value, unless it is quoted.
    guard !scalar.string.isEmpty || scalar.style != .plain else {
      throw ConfigurationError(
        source: place(node, path), "\"\(key)\" has no value", remedy: "give one, or remove the key")
    }
    return scalar.string
  }

  private static func place(_ node: Node, _ path: String) -> String {
    node.mark.map { "\(path):\($0.line)" } ?? path
  }

  private static func unknown(_ key: String, _ source: String) -> ConfigurationError {
    let known =
      ConfigurationDraft.Key.allCases.map(\.rawValue) + ["services", "kvp"]
      + ConfigurationDraft.DeviceList.allCases.map(\.rawValue)
    return .unknown("unknown key \"\(key)\"", key, known: known, source: source)
  }

  private static func explain(_ error: any Error, _ path: String, _ text: String) -> ConfigurationError {
    switch error as? YamlError {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return ConfigurationError(source: "\(path):\(mark.line)", "this is not YAML: \(problem)")
    case .duplicatedKeysInMapping(let duplicates, let context):
      // The mark is where the mapping starts; the second line that starts with the key is what the user looks for.
      let key = duplicates.sorted().first ?? ""
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().filter { index, line in
        index + 1 >= context.mark.line && line.drop(while: { $0 == " " }).hasPrefix("\(key):")
      }
      let line = lines.dropFirst().first.map { $0.offset + 1 } ?? context.mark.line
      return ConfigurationError(
        source: "\(path):\(line)", "key \"\(key)\" is given twice", remedy: "remove one of them")
    default: break
    }
    return ConfigurationError(source: path, "this is not YAML: \(error)")
  }
}
