// SPDX-License-Identifier: Apache-2.0

import ControlAPI

/// A configuration in the making: texts as the user wrote them, each with the place where it stands. Flags and YAML file
/// fill one draft each; `merged` lays the flags over the file and `finish` makes values of the texts, so that a wrong
/// value is reported alike wherever it comes from.
public struct ConfigurationDraft: Sendable {
  /// A text and where it stands: `--memory`, `web.yaml:7`.
  public struct Setting: Hashable, Sendable {
    public var text: String
    public var source: String

    public init(_ text: String, _ source: String) {
      self.text = text
      self.source = source
    }
  }

  public enum Key: String, CaseIterable, Sendable {
    case name, processors, memory, kernel, initramfs
    case commandLine = "command-line"
    case unpackKernel = "unpack-kernel"
    case serial
    case busVersion = "vmbus-version"
    case accelerator
    case onCrash = "on-crash"
  }

  /// What a machine can have several of. The flags are called by the singular.
  public enum DeviceList: String, CaseIterable, Sendable {
    case disks, dvds, ide, nics
    case legacyNICs = "legacy-nics"

    /// The key that a device's first text belongs to.
    public var firstKey: String { self == .nics || self == .legacyNICs ? "connection" : DeviceDraft.path }
  }

  public private(set) var settings: [Key: Setting] = [:]
  /// `on` or `off` by service name.
  public private(set) var services: [String: Setting] = [:]
  /// Values by KVP key.
  public private(set) var keyValues: [String: Setting] = [:]
  public private(set) var devices: [DeviceList: [DeviceDraft]] = [:]

  public init() {}

  public mutating func set(_ key: Key, _ text: String?, from source: String) {
    guard let text else { return }
    settings[key] = Setting(text, source)
  }

  public mutating func set(service: String, _ text: String, from source: String) {
    services[service] = Setting(text, source)
  }

  public mutating func set(keyValue key: String, _ value: String, from source: String) {
    keyValues[key] = Setting(value, source)
  }

  /// `absolute` makes an absolute path of the one that the user gave.
  public mutating func add(_ device: DeviceDraft, to list: DeviceList, absolute: (String) -> String) {
    var device = device
    let isEmptyDrive = list != .disks && device.settings[DeviceDraft.path]?.text == DiskConfiguration.emptyDrive
    if !isEmptyDrive { device.resolvePath(absolute) }
    devices[list, default: []].append(device)
  }

  /// This draft, with everything that `other` says laid over it. Devices add up.
  public func merged(with other: ConfigurationDraft) -> ConfigurationDraft {
    var result = self
    result.settings.merge(other.settings) { $1 }
    result.services.merge(other.services) { $1 }
    result.keyValues.merge(other.keyValues) { $1 }
    result.devices.merge(other.devices) { $0 + $1 }
    return result
  }

  /// The values. `defaultName` is for a draft without a name.
  public func finish(defaultName: String) throws(ConfigurationError) -> VirtualMachineConfiguration {
    guard let kernel = settings[.kernel] else {
      throw ConfigurationError(source: nil, "no kernel is given", remedy: "name one with --kernel or in the YAML file")
    }
    let name = settings[.name] ?? Setting(defaultName, "--name")
    guard MachineName(name.text) != nil else {
      throw ConfigurationError(
        source: name.source, "\"\(name.text)\" cannot be a machine's name",
        remedy: "use 1 to \(MachineName.maximumLength) letters, digits, dots, hyphens and underscores, "
          + "the first a letter or digit")
    }
    var configuration = VirtualMachineConfiguration(name: name.text, kernel: kernel.text)
    configuration.initramfs = settings[.initramfs]?.text
    configuration.commandLine = try parse(.commandLine, Self.commandLine) ?? ""
    configuration.unpackKernel = try parse(.unpackKernel, Self.choice) ?? .auto
    configuration.processors = try parse(.processors, Self.processors) ?? 1
    configuration.memory = try parse(.memory, Self.memory) ?? .defaultMemory
    configuration.serial = try parse(.serial, Self.serial) ?? .interactive
    configuration.busVersionLimit = try parse(.busVersion, Self.busVersion)
    configuration.accelerator = try parse(.accelerator, Self.choice) ?? .auto
    configuration.onCrash = try parse(.onCrash, Self.choice) ?? .keep
    for (service, setting) in services.sorted(by: { $0.key < $1.key }) {
      let name = try Self.service(service, setting.source)
      if try !Self.isOn(setting) { configuration.disabledServices.insert(name) }
    }
    for (key, setting) in keyValues.sorted(by: { $0.key < $1.key }) {
      do throws(ControlError) {
        try KeyValueRules.check(KeyValueItem(pool: .external, key: key, value: setting.text))
      } catch {
        throw ConfigurationError(source: setting.source, error.message, remedy: error.remedy)
      }
      configuration.keyValues[key] = setting.text
    }
    configuration.adapters = try NetworkAdapterConfiguration.finish(
      devices[.nics] ?? [], legacy: devices[.legacyNICs] ?? [], machine: configuration.name)
    configuration.ideDrives = try IDEDrive.finish(devices[.ide] ?? [])
    configuration.disks = try DiskConfiguration.finish(disks: devices[.disks] ?? [], dvds: devices[.dvds] ?? [])
    return configuration
  }

  private func parse<Value>(
    _ key: Key, _ parse: (Setting, Key) throws(ConfigurationError) -> Value
  ) throws(ConfigurationError) -> Value? {
    guard let setting = settings[key] else { return nil }
    return try parse(setting, key)
  }
}
