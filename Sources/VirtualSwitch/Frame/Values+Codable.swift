// SPDX-License-Identifier: Apache-2.0

extension VLANID: Codable {}

extension MACAddress: CodableAsText {
  public static var codedKind: String { "a MAC address" }
}

extension PortForwarding: CodableAsText {
  public static var codedKind: String { "a forwarded port" }
}

extension VLANSet: CodableAsText {
  public static var codedKind: String { "a list of VLANs" }

  /// Coded, the empty set is an empty text; people have no way to write it.
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let value = text.isEmpty ? VLANSet() : VLANSet(text) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "not \(Self.codedKind)"))
    }
    self = value
  }
}
