// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

extension AdapterConfiguration {
  /// The lists as the wire has them: joined by ";".
  var texts: [(AdapterAddressRecord.Field, String)] {
    [
      (AdapterAddressRecord.addresses, addresses.joined(separator: ";")),
      (AdapterAddressRecord.masks, masks.joined(separator: ";")),
      (AdapterAddressRecord.gateways, gateways.joined(separator: ";")),
      (AdapterAddressRecord.nameServers, nameServers.joined(separator: ";")),
    ]
  }

  /// The texts end up in a configuration file and a script's arguments in the guest: only what addresses are made of.
  func check() throws(ServiceError) {
    for list in [addresses, masks, gateways, nameServers] {
      for text in list {
        guard !text.isEmpty, text.utf8.allSatisfy({ Self.isAllowed($0) }) else {
          throw .invalidRequest("\"\(text)\" is not an address or a mask")
        }
      }
    }
    for (field, text) in texts {
      try KeyValueLimits.check(text, "list of addresses", units: field.units - 1, bytes: field.units - 1)
    }
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
      UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "/"):
      true
    default: false
    }
  }

  init(decoding body: RawSpan, at start: Int) throws(WireError) {
    let fields = try AdapterAddressRecord(decoding: body, at: start)
    func list(_ field: AdapterAddressRecord.Field) throws(WireError) -> [String] {
      let text = try HostText.read(body, at: start + field.offset, byteCount: 2 * field.units)
      return text.split(separator: ";").map(String.init)
    }
    self.init(
      families: Families(rawValue: fields.families), dhcp: fields.dhcp != 0,
      addresses: try list(AdapterAddressRecord.addresses), masks: try list(AdapterAddressRecord.masks),
      gateways: try list(AdapterAddressRecord.gateways), nameServers: try list(AdapterAddressRecord.nameServers))
  }
}

extension GUID {
  /// "{f8615163-df3e-46c5-913f-f2d2f965ed0e}": as Linux shows a device's instance in sysfs, and compares it.
  var bracedText: String {
    func hex(_ value: UInt64, _ digits: Int) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    let tail = high.byteSwapped
    return "{" + hex(low & 0xFFFF_FFFF, 8) + "-" + hex(low >> 32 & 0xFFFF, 4) + "-" + hex(low >> 48, 4) + "-"
      + hex(tail >> 48, 4) + "-" + hex(tail & 0xFFFF_FFFF_FFFF, 12) + "}"
  }
}
