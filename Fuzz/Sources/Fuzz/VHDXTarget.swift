// SPDX-License-Identifier: Apache-2.0

import StoreDoubles
import VMBus
import VirtualDisks

/// A VHDX file that somebody has tampered with, checksums put right again, opened and used like any other; half of the
/// time one whose machine was killed, with entries in its log.
enum VHDXTarget {
  private static let log: UInt64 = 1 << 20
  private static let metadata: UInt64 = 2 << 20
  private static let table: UInt64 = 3 << 20

  @Sendable static func run(_ script: inout Script) {
    let kinds: [ImageKind] = [.fixed, .dynamic, .dynamic, .differencing]
    let kind = kinds[script.choice(4)]
    var creation = VHDXCreation(
      kind: kind, virtualByteCount: UInt64(script.choice(16) + 1) * (512 << 10), blockByteCount: 1 << 20)
    let parentStore = CrashStore(name: "p.vhdx")
    if kind == .differencing {
      guard
        (try? VHDXImage.create(
          .init(kind: .dynamic, virtualByteCount: 4 << 20, blockByteCount: 1 << 20), in: parentStore)) != nil,
        let parent = open(parentStore, nil)
      else { preconditionFailure("a sound parent is not made") }
      ImageUse.write([7], at: UInt64(script.choice(64)) * 512, to: parent)
      guard let identifier = parent.information.identifier, (try? parent.close()) != nil else {
        preconditionFailure("a sound parent is not closed")
      }
      creation.parent = .init(identifier: identifier, relativePath: ".\\p.vhdx", absolutePath: nil)
    }
    let parent = kind == .differencing ? parentStore : nil
    let made = CrashStore(name: "fuzz.vhdx")
    guard (try? VHDXImage.create(creation, in: made)) != nil, let image = open(made, parent) else {
      preconditionFailure("a sound image does not open")
    }
    ImageUse.use(image, &script, steps: 6, discardUnit: 128 << 10)
    guard (try? image.flush()) != nil else { preconditionFailure("a sound image does not flush") }
    if script.oneIn(2) {
      ImageUse.use(image, &script, steps: 4, discardUnit: 128 << 10)
      guard (try? image.close()) != nil else { preconditionFailure("a sound image does not close") }
    }

    var contents = made.contents
    for _ in 0..<script.choice(5) { damage(&contents, &script) }
    let store = CrashStore(contents, name: "fuzz.vhdx", isReadOnly: script.oneIn(4))
    guard let damaged = open(store, parent) else {
      // What is refused is left as it was, unless a sound log was replayed before something else was found wrong.
      return
    }
    ImageUse.use(damaged, &script, steps: 16, discardUnit: 128 << 10)
    try? damaged.close()
    if store.isReadOnly { precondition(store.contents == contents, "a read-only image has changed") }
    // What was usable stays usable.
    if !store.isReadOnly {
      precondition(open(CrashStore(store.contents), parent) != nil, "an image was broken by its use")
    }
  }

  private static func open(_ store: CrashStore, _ parent: CrashStore?) -> VHDXImage? {
    guard let structure = try? VHDXStructure(reading: store) else { return nil }
    let below = parent.flatMap { open(CrashStore($0.contents, name: "p.vhdx", isReadOnly: true), nil) }
    return try? VHDXImage(structure, parent: below)
  }

  private static func damage(_ contents: inout SparseBytes, _ script: inout Script) {
    switch script.choice(10) {
    case 0...1:
      let fields = [(0, 4), (8, 8), (16, 8), (32, 8), (48, 8), (64, 2), (66, 2), (68, 4), (72, 8)]
      let place: UInt64 = script.oneIn(2) ? 65536 : 131072
      change(&contents, place, 4096, fields[script.choice(fields.count)], checksumAt: 4, &script)
    case 2:
      let entry = 16 + script.choice(3) * 32
      let fields = [(0, 4), (8, 4), (entry, 8), (entry + 16, 8), (entry + 24, 4), (entry + 28, 4)]
      let field = fields[script.choice(fields.count)]
      for place: UInt64 in [196608, 262144] { change(&contents, place, 65536, field, checksumAt: 4, &script) }
    case 3...4:
      let entry = 32 + script.choice(7) * 32
      let fields = [
        (0, 8), (10, 2), (entry, 8), (entry + 16, 4), (entry + 20, 4), (entry + 24, 4), (65536, 4), (65540, 4),
        (65544, 8), (65552, 8), (65568, 4), (65576, 4), (65584, 2), (65602, 2), (65604, 4), (65608, 4), (65612, 2),
      ]
      change(&contents, metadata, 66048, fields[script.choice(fields.count)], checksumAt: nil, &script)
    case 5...6:
      let entry = script.oneIn(4) ? 4096 * 8 : script.choice(10) * 8
      change(&contents, table, 65536, (entry, 8), checksumAt: nil, &script)
    case 7...8: damageLog(&contents, &script)
    default:
      if script.oneIn(2) {
        contents.write(script.take(64), at: UInt64(script.word32()) % max(1, contents.byteCount))
      } else {
        contents.setByteCount(UInt64(script.word32()) % (contents.byteCount + (1 << 20)))
      }
    }
  }

  /// A field of one of the first entries, whose checksum is then that of the entry as long as it says it is.
  private static func damageLog(_ contents: inout SparseBytes, _ script: inout Script) {
    var offset = log
    for _ in 0..<script.choice(4) {
      guard let head = contents.bytes(at: offset, count: 64), head[0] == 0x6C else { return }
      offset += UInt64(little(head, 8, 4)) & 0xF_FFFF
    }
    guard let head = contents.bytes(at: offset, count: 64) else { return }
    let length = min(max(4096, Int(little(head, 8, 4)) & 0xF_F000), 64 << 10)
    let descriptor = 64 + script.choice(3) * 32
    let fields = [
      (0, 4), (8, 4), (12, 4), (16, 8), (24, 4), (32, 8), (48, 8), (56, 8), (descriptor, 4), (descriptor + 8, 8),
      (descriptor + 16, 8), (descriptor + 24, 8), (4096, 4), (4100, 4),
    ]
    change(&contents, offset, length, fields[script.choice(fields.count)], checksumAt: 4, &script)
  }

  private static func little(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in (offset..<offset + count).reversed() { value = value << 8 | UInt64(bytes[index]) }
    return value
  }

  /// A little-endian field gets a value near its own, or any.
  private static func change(
    _ contents: inout SparseBytes, _ place: UInt64, _ length: Int, _ field: (Int, Int), checksumAt hole: Int?,
    _ script: inout Script
  ) {
    let (offset, count) = field
    guard var bytes = contents.bytes(at: place, count: length), bytes.count >= offset + count else { return }
    var value = little(bytes, offset, count)
    switch script.choice(8) {
    case 0: value = 0
    case 1: value = .max
    case 2: value &+= UInt64(script.byte())
    case 3: value &-= UInt64(script.byte())
    case 4: value ^= 1 << UInt64(script.choice(64))
    case 5: value &+= UInt64(script.byte()) << 20
    case 6: value = UInt64(script.choice(12)) << 20 | UInt64(script.choice(8))
    default: value = script.word64()
    }
    for index in 0..<count { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    if let hole, !script.oneIn(16) {
      for index in 0..<4 { bytes[hole + index] = 0 }
      let sum = crc32c(bytes)
      for index in 0..<4 { bytes[hole + index] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * index)) }
    }
    contents.write(bytes, at: place)
  }

  private static let crcTable: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 == 1 ? 0x82F6_3B78 : 0) }
  }

  private static func crc32c(_ bytes: [UInt8]) -> UInt32 {
    var value = UInt32.max
    for byte in bytes { value = value >> 8 ^ crcTable[Int(UInt8(truncatingIfNeeded: value) ^ byte)] }
    return ~value
  }
}
