// SPDX-License-Identifier: Apache-2.0

/// What a process asks of a switch: a port with this name and these settings.
struct PortRequest: Equatable {
  var name: String
  var settings: PortSettings
  var capabilities: PortCapabilities

  /// Changes when older programs could not read it any more.
  static let version: UInt8 = 1
  static let maximumName = 64
  static let wireSize = 4 + 64 + 8 + 8 + 512

  /// 0 version, 1 length of the name, 2 capabilities, 3 flags; 4 name; 68 VLAN mode, 69 zero, 70 access or native id,
  /// 72 MTU; 76 address (bit 48: there is one); 84 the trunk's VLANs.
  var encoded: [UInt8] {
    let text = [UInt8](name.utf8.prefix(Self.maximumName))
    var bytes: [UInt8] = [Self.version, UInt8(text.count), bits(capabilities), flags]
    bytes += text + [UInt8](repeating: 0, count: Self.maximumName - text.count)
    var allowed = VLANSet()
    let (mode, id): (UInt8, VLANID)
    switch settings.vlan {
    case .untagged: (mode, id) = (0, .none)
    case .access(let own): (mode, id) = (1, own)
    case .trunk(let set, let native): (mode, id, allowed) = (2, native, set)
    }
    bytes += [mode, 0]
    Self.append(UInt64(id.rawValue), 2, &bytes)
    Self.append(UInt64(clamping: settings.maximumPayload), 4, &bytes)
    Self.append(settings.address.map { $0.rawValue | 1 << 48 } ?? 0, 8, &bytes)
    allowed.write(to: &bytes)
    return bytes
  }

  init(name: String, settings: PortSettings, capabilities: PortCapabilities) {
    self.name = name
    self.settings = settings
    self.capabilities = capabilities
  }

  /// `nil` for anything but a sound request; whether the settings make sense is the switch's to say.
  init?(decoding bytes: [UInt8]) {
    guard bytes.count == Self.wireSize, bytes[0] == Self.version, bytes[1] > 0, bytes[1] <= Self.maximumName,
      bytes[2] & ~0x1f == 0, bytes[3] & ~0xf == 0, bytes[69] == 0
    else { return nil }
    let text = bytes[4..<4 + Int(bytes[1])]
    guard text.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
    name = String(decoding: text, as: UTF8.self)
    capabilities = PortCapabilities(
      tagsOutOfBand: bytes[2] & 1 != 0, unfinishedChecksums: bytes[2] & 2 != 0, tcp4Segmentation: bytes[2] & 4 != 0,
      tcp6Segmentation: bytes[2] & 8 != 0, udpSegmentation: bytes[2] & 16 != 0)
    let id = VLANID(rawValue: UInt16(Self.number(bytes[70..<72])))
    let vlan: VLANMode
    switch bytes[68] {
    case 0: vlan = .untagged
    case 1: vlan = .access(id)
    case 2: vlan = .trunk(allowed: VLANSet(bits: bytes[84...]), native: id)
    default: return nil
    }
    let address = Self.number(bytes[76..<84])
    settings = PortSettings(
      vlan: vlan, address: address >> 48 == 0 ? nil : MACAddress(rawValue: address), allowsSpoofing: bytes[3] & 1 != 0,
      isIsolated: bytes[3] & 2 != 0, guardsRouters: bytes[3] & 4 != 0, guardsDHCP: bytes[3] & 8 != 0,
      maximumPayload: Int(Self.number(bytes[72..<76])))
  }

  private func bits(_ capabilities: PortCapabilities) -> UInt8 {
    (capabilities.tagsOutOfBand ? 1 : 0) | (capabilities.unfinishedChecksums ? 2 : 0)
      | (capabilities.tcp4Segmentation ? 4 : 0) | (capabilities.tcp6Segmentation ? 8 : 0)
      | (capabilities.udpSegmentation ? 16 : 0)
  }

  private var flags: UInt8 {
    (settings.allowsSpoofing ? 1 : 0) | (settings.isIsolated ? 2 : 0) | (settings.guardsRouters ? 4 : 0)
      | (settings.guardsDHCP ? 8 : 0)
  }

  private static func append(_ value: UInt64, _ count: Int, _ bytes: inout [UInt8]) {
    for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
