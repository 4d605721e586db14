// SPDX-License-Identifier: Apache-2.0

/// One of the eight entries of a dynamic disk header that say where the parent lies.
struct VHDParentLocator: Equatable, Sendable {
  static let byteCount = 24

  /// How the path is written.
  struct Platform: RawRepresentable, Hashable, Sendable {
    var rawValue: UInt32

    static let none = Platform(rawValue: 0)
    /// "W2ku": UTF-16 little-endian, absolute, of Windows.
    static let absolute = Platform(rawValue: 0x5732_6b75)
    /// "W2ru": UTF-16 little-endian, relative to the child, of Windows.
    static let relative = Platform(rawValue: 0x5732_7275)
    /// "MacX": a file URL in UTF-8.
    static let macX = Platform(rawValue: 0x4d61_6358)
  }

  var platform: Platform
  /// The room kept for the path. The specification says sectors, every writer writes bytes; readers use neither.
  var dataSpace: UInt32
  /// Bytes of the path, without a terminator.
  var dataLength: UInt32
  /// Where the path lies in the file.
  var dataOffset: UInt64

  static let empty = VHDParentLocator(platform: .none, dataSpace: 0, dataLength: 0, dataOffset: 0)

  init(platform: Platform, dataSpace: UInt32, dataLength: UInt32, dataOffset: UInt64) {
    self.platform = platform
    self.dataSpace = dataSpace
    self.dataLength = dataLength
    self.dataOffset = dataOffset
  }

  init(_ bytes: BigEndianBytes, at offset: Int) {
    platform = Platform(rawValue: bytes.read(UInt32.self, at: offset))
    dataSpace = bytes.read(UInt32.self, at: offset + 4)
    dataLength = bytes.read(UInt32.self, at: offset + 8)
    dataOffset = bytes.read(UInt64.self, at: offset + 16)
  }

  func encode(into bytes: inout BigEndianBytes, at offset: Int) {
    bytes.write(platform.rawValue, at: offset)
    bytes.write(dataSpace, at: offset + 4)
    bytes.write(dataLength, at: offset + 8)
    bytes.write(dataOffset, at: offset + 16)
  }

  /// The path in it as it is written there. nil where it is not text, or of a platform without paths for this host.
  func path(from data: [UInt8]) -> String? {
    switch platform {
    case .absolute, .relative:
      guard data.count % 2 == 0 else { return nil }
      let units = stride(from: 0, to: data.count, by: 2).map { UInt16(data[$0]) | UInt16(data[$0 + 1]) << 8 }
      return Self.text(units)
    case .macX:
      return String(validating: data, as: UTF8.self).flatMap(Self.path(ofURL:))
    default:
      return nil
    }
  }

  /// Some writers end the text with a zero, which belongs to no path.
  static func text(_ units: [UInt16]) -> String? {
    let text = units.last == 0 ? units.dropLast() : units[...]
    guard !text.isEmpty, !text.contains(0) else { return nil }
    return String(validating: text, as: UTF16.self)
  }

  /// `file://localhost/a%20b` or `file:///a`.
  private static func path(ofURL url: String) -> String? {
    let scheme = "file://"
    guard url.hasPrefix(scheme) else { return nil }
    let rest = url.utf8.dropFirst(scheme.utf8.count)
    guard let slash = rest.firstIndex(of: 0x2f) else { return nil }
    var bytes: [UInt8] = []
    var index = slash
    while index < rest.endIndex {
      if rest[index] == 0x25, let end = rest.index(index, offsetBy: 3, limitedBy: rest.endIndex),
        let digits = String(rest[rest.index(after: index)..<end]), let byte = UInt8(digits, radix: 16)
      {
        bytes.append(byte)
        index = end
      } else {
        bytes.append(rest[index])
        index = rest.index(after: index)
      }
    }
    guard !bytes.contains(0) else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }
}
