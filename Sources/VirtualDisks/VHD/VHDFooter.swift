// SPDX-License-Identifier: Apache-2.0

/// The last sector of every VHD, and a copy of it in the first sector of those that grow.
///
/// Fields and offsets: Microsoft, "Virtual Hard Disk Image Format Specification" 1.0, "Hard Disk Footer Format".
struct VHDFooter: Equatable, Sendable {
  static let byteCount = 512
  static let cookie = Array("conectix".utf8)
  /// 2040 GiB: what sector numbers of 32 bits leave when each block has a bitmap, and what Hyper-V allows.
  static let largestDisk: UInt64 = 2040 << 30
  /// `dataOffset` where there is no dynamic disk header.
  static let noOffset = UInt64.max

  /// "win ", Hyper-V: its size field is known to be exact by all readers.
  static let exactCreator: UInt32 = 0x7769_6e20

  enum Kind: UInt32, Sendable {
    case fixed = 2
    case dynamic = 3
    case differencing = 4
  }

  var features: UInt32 = 2
  /// Where the dynamic disk header lies.
  var dataOffset: UInt64
  var timestamp: VHDTimestamp
  /// Four characters that name the creator. Readers that know Virtual PC take the size of the disk from the geometry unless
  /// the creator is one whose sizes are exact.
  var creator = Self.exactCreator
  /// Windows 6.3.
  var creatorVersion: UInt32 = 0x0006_0003
  /// "Wi2k"
  var creatorSystem: UInt32 = 0x5769_326b
  var originalSize: UInt64
  var currentSize: UInt64
  var geometry: VHDGeometry
  var kind: Kind
  var identifier: VHDIdentifier
  var savedState: UInt8 = 0

  init(kind: Kind, size: UInt64, identifier: VHDIdentifier, timestamp: VHDTimestamp) {
    self.kind = kind
    dataOffset = kind == .fixed ? Self.noOffset : UInt64(Self.byteCount)
    self.timestamp = timestamp
    originalSize = size
    currentSize = size
    geometry = VHDGeometry(sectors: size / 512)
    self.identifier = identifier
  }

  init(decoding sector: [UInt8]) throws(VHDDefect) {
    guard sector.count == Self.byteCount else {
      throw VHDDefect("footer", at: UInt64(sector.count), "it ends after \(sector.count) bytes")
    }
    let bytes = BigEndianBytes(sector)
    guard bytes.slice(at: 0, count: 8) == Self.cookie else {
      throw VHDDefect("footer cookie", at: 0, "it is not \"conectix\"")
    }
    let stored = bytes.read(UInt32.self, at: 64)
    let computed = bytes.checksum(except: 64)
    guard stored == computed else {
      throw VHDDefect("footer checksum", at: 64, "it is \(hex(stored)) where the content gives \(hex(computed))")
    }
    let version = bytes.read(UInt32.self, at: 12)
    guard version >> 16 == 1 else {
      throw VHDDefect("footer version", at: 12, "it is \(version >> 16).\(version & 0xffff), not 1.0")
    }
    let type = bytes.read(UInt32.self, at: 60)
    guard let kind = Kind(rawValue: type) else {
      throw VHDDefect("footer disk type", at: 60, "\(type) is none of 2 (fixed), 3 (dynamic), 4 (differencing)")
    }
    self.kind = kind
    features = bytes.read(UInt32.self, at: 8)
    dataOffset = bytes.read(UInt64.self, at: 16)
    timestamp = VHDTimestamp(rawValue: bytes.read(UInt32.self, at: 24))
    creator = bytes.read(UInt32.self, at: 28)
    creatorVersion = bytes.read(UInt32.self, at: 32)
    creatorSystem = bytes.read(UInt32.self, at: 36)
    originalSize = bytes.read(UInt64.self, at: 40)
    currentSize = bytes.read(UInt64.self, at: 48)
    geometry = VHDGeometry(
      cylinders: bytes.read(UInt16.self, at: 56), heads: bytes.bytes[58], sectorsPerTrack: bytes.bytes[59])
    identifier = VHDIdentifier(high: bytes.read(UInt64.self, at: 68), low: bytes.read(UInt64.self, at: 76))
    savedState = bytes.bytes[84]
    guard currentSize > 0, currentSize % 512 == 0, currentSize <= Self.largestDisk else {
      throw VHDDefect(
        "footer current size", at: 48, "\(currentSize) bytes is not a whole number of sectors between 1 and 2040 GiB")
    }
    if kind != .fixed, dataOffset % 512 != 0 || dataOffset < 512 || dataOffset > UInt64(Int64.max) {
      throw VHDDefect("footer data offset", at: 16, "\(hex(dataOffset)) is no place for a dynamic disk header")
    }
  }

  func encoded() -> [UInt8] {
    var bytes = BigEndianBytes(zeroes: Self.byteCount)
    bytes.write(Self.cookie, at: 0)
    bytes.write(features, at: 8)
    bytes.write(UInt32(0x0001_0000), at: 12)
    bytes.write(dataOffset, at: 16)
    bytes.write(timestamp.rawValue, at: 24)
    bytes.write(creator, at: 28)
    bytes.write(creatorVersion, at: 32)
    bytes.write(creatorSystem, at: 36)
    bytes.write(originalSize, at: 40)
    bytes.write(currentSize, at: 48)
    bytes.write(geometry.cylinders, at: 56)
    bytes.write(geometry.heads, at: 58)
    bytes.write(geometry.sectorsPerTrack, at: 59)
    bytes.write(kind.rawValue, at: 60)
    bytes.write(identifier.high, at: 68)
    bytes.write(identifier.low, at: 76)
    bytes.write(savedState, at: 84)
    bytes.write(bytes.checksum(except: 64), at: 64)
    return bytes.bytes
  }
}

/// `0x1f`, as offsets and identifiers are shown.
func hex(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }
