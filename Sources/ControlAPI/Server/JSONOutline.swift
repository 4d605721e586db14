// SPDX-License-Identifier: Apache-2.0

/// Walks over JSON text without building anything: finds the names of the fields of the outermost object, refuses
/// nesting beyond a limit and a name that stands twice in one object. Syntax beyond that is the real parser's business.
struct JSONOutline {
  private let bytes: [UInt8]
  private var position = 0

  static func topLevelFields(of bytes: [UInt8], maximumDepth: Int) throws(ControlError) -> [String] {
    var outline = JSONOutline(bytes: bytes)
    return try outline.walk(maximumDepth: maximumDepth)
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private mutating func walk(maximumDepth: Int) throws(ControlError) -> [String] {
    /// Names seen so far in each open object; `nil` for a list.
    var open: [Set<String>?] = []
    var topLevel: [String] = []
    var expectsName = false
    while let byte = next() {
      switch byte {
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        guard open.count < maximumDepth else {
          throw ControlError(.badRequest, "the body is nested deeper than \(maximumDepth) levels")
        }
        open.append(byte == UInt8(ascii: "{") ? [] : nil)
        expectsName = byte == UInt8(ascii: "{")
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        guard open.popLast() != nil else { throw ControlError(.badRequest, "the body is not valid JSON") }
        expectsName = false
      case UInt8(ascii: ","):
        expectsName = open.last.map { $0 != nil } ?? false
      case UInt8(ascii: "\""):
        let text = try string()
        guard expectsName, let names = open.last, names != nil else { continue }
        expectsName = false
        let isNew = open[open.count - 1]?.insert(text).inserted ?? true
        guard isNew else { throw ControlError(.badRequest, "field \"\(text)\" is given twice") }
        if open.count == 1 { topLevel.append(text) }
      default:
        continue
      }
    }
    return topLevel
  }

  private mutating func next() -> UInt8? {
    guard position < bytes.count else { return nil }
    defer { position += 1 }
    return bytes[position]
  }

  /// The text up to the closing quote; escapes are left as they stand, except those of plain ASCII (`\u0061`), with
  /// which a name could be given twice unnoticed.
  private mutating func string() throws(ControlError) -> String {
    var text: [UInt8] = []
    while let byte = next() {
      switch byte {
      case UInt8(ascii: "\""):
        return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"):
        guard let escaped = next() else { break }
        if escaped == UInt8(ascii: "u"), position + 4 <= bytes.count,
          let code = UInt16(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16), code < 0x80
        {
          position += 4
          text.append(UInt8(code))
        } else {
          text.append(byte)
          text.append(escaped)
        }
      default:
        text.append(byte)
      }
    }
    throw ControlError(.badRequest, "the body is not valid JSON")
  }
}
