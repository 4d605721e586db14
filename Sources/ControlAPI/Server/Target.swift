// SPDX-License-Identifier: Apache-2.0

/// The target of a request, taken apart: path segments and query, percent-decoded after the split, so that a KVP key may
/// hold a slash. `+` stands for itself.
struct Target: Sendable {
  let segments: [String]
  let query: [String: String]

  init(_ text: String) throws(ControlError) {
    let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    guard let path = parts.first, path.hasPrefix("/") else {
      throw ControlError(.badRequest, "the request's target does not start with a slash")
    }
    var segments: [String] = []
    for segment in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
      segments.append(try Self.decode(segment))
    }
    self.segments = segments
    var query: [String: String] = [:]
    if parts.count == 2 {
      for pair in parts[1].split(separator: "&") {
        let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = try Self.decode(halves[0])
        guard query.updateValue(halves.count == 2 ? try Self.decode(halves[1]) : "", forKey: name) == nil else {
          throw ControlError(.badRequest, "query parameter \"\(name)\" is given twice")
        }
      }
    }
    self.query = query
  }

  private static func decode(_ text: Substring) throws(ControlError) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal) else {
        throw ControlError(.badRequest, "\"\(text)\" in the request's target is not percent-encoded correctly")
      }
      bytes.append(high << 4 | low)
    }
    guard let decoded = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
      throw ControlError(.badRequest, "\"\(text)\" in the request's target is not valid UTF-8")
    }
    return decoded
  }

  private static func hexadecimal(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x37
    case 0x61...0x66: byte - 0x57
    default: nil
    }
  }

  /// The reverse of decoding, for one segment or query value.
  static func encode(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e:
        bytes.append(byte)
      default:
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
