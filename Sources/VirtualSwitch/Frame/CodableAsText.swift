// SPDX-License-Identifier: Apache-2.0

/// Coded as people write it, so that files and the control API read alike.
public protocol CodableAsText: LosslessStringConvertible, Codable {
  /// What a text that is none of these is not, with its article: "a MAC address".
  static var codedKind: String { get }
}

extension CodableAsText {
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let value = Self(text) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "not \(Self.codedKind)"))
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
