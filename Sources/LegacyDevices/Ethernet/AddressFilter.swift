// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// Which frames the driver wants, as its last setup frame has said (21140A reference manual, 4.2.3). Of each word of a setup
/// frame the lower half counts.
struct AddressFilter: Equatable, Sendable {
  static let setupByteCount = 192
  private static let addressCount = 16
  /// Where the one address lies beside a table of hashes.
  private static let soleAddressOffset = 156

  private var addresses: [EthernetAddress] = []
  /// 512 bits.
  private var table: [UInt16] = []
  private(set) var mode: EthernetMode = []

  init() {}

  /// `hashes` and `inverse` are FT0 and FT1 of the descriptor: both together are a table for all addresses.
  init(setup: [UInt8], hashes: Bool, inverse: Bool) {
    func half(_ word: Int) -> UInt16 {
      let at = word * 4
      guard at + 1 < setup.count else { return 0 }
      return UInt16(setup[at]) | UInt16(setup[at + 1]) << 8
    }
    func address(at word: Int) -> EthernetAddress {
      let bytes = (0..<3).reduce(UInt64(0)) { $0 << 16 | UInt64(half(word + $1).byteSwapped) }
      return EthernetAddress(rawValue: bytes)
    }
    if hashes {
      table = (0..<32).map(half)
      mode = inverse ? [.hashesGroups, .hashesAll] : .hashesGroups
      addresses = inverse ? [] : [address(at: Self.soleAddressOffset / 4)]
    } else {
      addresses = (0..<Self.addressCount).map { address(at: $0 * 3) }
      mode = inverse ? .inverse : []
    }
  }

  /// What comes of the filter alone, without the modes that let everything pass.
  func matches(_ address: EthernetAddress) -> Bool {
    if mode.contains(.hashesAll) || mode.contains(.hashesGroups) && address.isMulticast {
      let bit = Int(Self.hash(address))
      return table[bit >> 4] >> UInt16(bit & 15) & 1 != 0
    }
    return addresses.contains(address) != mode.contains(.inverse)
  }

  /// The lower nine bits of the Ethernet checksum's register after the address.
  static func hash(_ address: EthernetAddress) -> UInt16 {
    var register: UInt32 = .max
    for shift in stride(from: UInt64(40), through: 0, by: -8) {
      register ^= UInt32(truncatingIfNeeded: address.rawValue >> shift & 0xFF)
      for _ in 0..<8 { register = register >> 1 ^ (register & 1 != 0 ? 0xEDB8_8320 : 0) }
    }
    return UInt16(truncatingIfNeeded: register & 0x1FF)
  }
}
