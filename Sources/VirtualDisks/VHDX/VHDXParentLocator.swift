// SPDX-License-Identifier: Apache-2.0

import VMBus

/// [MS-VHDX] 2.6.2.6: how a differencing image finds its parent. Keys and values in the file's order; untrusted text.
struct VHDXParentLocator: Equatable, Sendable {
  struct Pair: Equatable, Sendable {
    var key: String
    var value: String
  }

  var pairs: [Pair]

  private static let headerByteCount = 20
  private static let entryByteCount = 12
  private static let maximumPairCount = 256

  /// The parent's data write identifier when the child was made.
  static let linkageKey = "parent_linkage"
  /// A second one that counts too: written while a parent is being moved.
  static let secondLinkageKey = "parent_linkage2"
  /// In the order in which a reader tries them.
  static let pathKeys = ["relative_path", "volume_path", "absolute_win32_path"]

  init(pairs: [Pair]) { self.pairs = pairs }

  init(decoding item: [UInt8], in store: any ByteStore, at place: UInt64) throws(ImageError) {
    func damaged(_ offset: Int, _ what: String) -> ImageError {
      store.damaged("parent locator", at: place + UInt64(offset), what)
    }
    guard item.count >= Self.headerByteCount else { throw damaged(0, "\(item.count) bytes are too few") }
    guard item.guid(at: 0) == VHDXFormat.parentLocatorType else {
      throw store.unsupported("parent locator", at: place, "type \(item.guid(at: 0).plainText) is not known")
    }
    let count = Int(item.little(UInt16.self, at: 18))
    guard count <= Self.maximumPairCount, Self.headerByteCount + count * Self.entryByteCount <= item.count else {
      throw damaged(18, "\(count) entries do not fit")
    }
    pairs = []
    for index in 0..<count {
      let entry = Self.headerByteCount + index * Self.entryByteCount
      let key = try Self.text(item, item.little(UInt32.self, at: entry), item.little(UInt16.self, at: entry + 8)) {
        damaged(entry, "the key of entry \(index) \($0)")
      }
      let value = try Self.text(item, item.little(UInt32.self, at: entry + 4), item.little(UInt16.self, at: entry + 10))
      {
        damaged(entry + 4, "the value of entry \(index) \($0)")
      }
      guard !pairs.contains(where: { $0.key == key }) else { throw damaged(entry, "the key \(key) is there twice") }
      pairs.append(Pair(key: key, value: value))
    }
    guard linkage != nil else { throw damaged(0, "\(Self.linkageKey) is missing or no GUID") }
    guard !paths.isEmpty else { throw damaged(0, "it names no path") }
  }

  subscript(key: String) -> String? { pairs.first { $0.key == key }?.value }

  var linkage: GUID? { self[Self.linkageKey].flatMap { GUID(text: $0) } }
  var secondLinkage: GUID? { self[Self.secondLinkageKey].flatMap { GUID(text: $0) } }
  var paths: [String] { Self.pathKeys.compactMap { self[$0] } }

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.headerByteCount + pairs.count * Self.entryByteCount)
    bytes.setGUID(VHDXFormat.parentLocatorType, at: 0)
    bytes.setLittle(UInt16(pairs.count), at: 18)
    for (index, pair) in pairs.enumerated() {
      let entry = Self.headerByteCount + index * Self.entryByteCount
      let key = Self.units(pair.key)
      let value = Self.units(pair.value)
      bytes.setLittle(UInt32(bytes.count), at: entry)
      bytes.setLittle(UInt16(key.count), at: entry + 8)
      bytes += key
      bytes.setLittle(UInt32(bytes.count), at: entry + 4)
      bytes.setLittle(UInt16(value.count), at: entry + 10)
      bytes += value
    }
    return bytes
  }

  private static func units(_ text: String) -> [UInt8] {
    text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
  }

  /// UTF-16LE without a terminator; a text that is empty, odd, outside or not UTF-16 is refused.
  private static func text(
    _ item: [UInt8], _ offset: UInt32, _ length: UInt16, _ failure: (String) -> ImageError
  ) throws(ImageError) -> String {
    let start = Int(offset)
    let count = Int(length)
    guard count > 0, count % 2 == 0 else { throw failure("has \(count) bytes") }
    guard start <= item.count, item.count - start >= count else { throw failure("lies outside") }
    let units = stride(from: start, to: start + count, by: 2).map { item.little(UInt16.self, at: $0) }
    guard !units.contains(0), let text = String(validating: units, as: UTF16.self) else {
      throw failure("is not UTF-16 text")
    }
    return text
  }
}
