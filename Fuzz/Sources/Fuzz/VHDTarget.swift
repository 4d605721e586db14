// SPDX-License-Identifier: Apache-2.0

import StoreDoubles
import VirtualDisks

/// A VHD file that somebody has tampered with, checksums put right again, opened and used like any other.
enum VHDTarget {
  @Sendable static func run(_ script: inout Script) {
    let kinds: [ImageKind] = [.fixed, .dynamic, .dynamic, .differencing]
    let kind = kinds[script.choice(4)]
    let size = UInt64(script.choice(16) + 1) * 65536 + UInt64(script.choice(4)) * 512
    let parent = kind == .differencing ? parent(size, &script) : nil
    var creation = VHDCreation(byteCount: size, kind: kind)
    creation.blockByteCount = 256 << 10
    if let parent, let identifier = parent.information.identifier {
      creation.parent = VHDCreation.Parent(
        identifier: identifier, timestamp: VHDTimestamp(rawValue: 0), relativePath: "p.vhd", absolutePath: "/p.vhd")
    }
    let made = CrashStore(name: "fuzz.vhd")
    guard (try? creation.write(to: made)) != nil, let image = try? VHDImage(made, parent: parent) else {
      preconditionFailure("a sound image does not open")
    }
    ImageUse.use(image, &script, steps: 4, discardUnit: 4096)
    guard (try? image.flush()) != nil else { preconditionFailure("a sound image does not flush") }

    var contents = made.contents
    damage(&contents, isFixed: kind == .fixed, &script)
    let store = CrashStore(contents, name: "fuzz.vhd", isReadOnly: script.oneIn(4))
    guard let damaged = try? VHDImage(store, parent: parent) else { return }
    ImageUse.use(damaged, &script, steps: 16, discardUnit: 4096)
    try? damaged.close()
    // What was usable stays usable.
    guard !store.isReadOnly else { return }
    do { _ = try VHDImage(CrashStore(store.contents), parent: parent) } catch {
      violated("not usable any more: \(error)")
    }
  }

  private static func parent(_ size: UInt64, _ script: inout Script) -> VHDImage? {
    let store = CrashStore(name: "p.vhd")
    let creation = VHDCreation(byteCount: size / 65536 * 65536, kind: .dynamic)
    guard (try? creation.write(to: store)) != nil, let image = try? VHDImage(store) else { return nil }
    ImageUse.write([script.byte() | 1], at: UInt64(script.choice(64)) * 512, to: image)
    return image
  }

  /// Fields of footer, header and table, and now and then bytes anywhere or another length.
  private static func damage(_ contents: inout SparseBytes, isFixed: Bool, _ script: inout Script) {
    let end = contents.byteCount - 512
    for _ in 0..<script.choice(4) {
      switch script.choice(8) {
      case 0...1:
        let field = [(8, 4), (12, 4), (16, 8), (24, 4), (28, 4), (40, 8), (48, 8), (56, 4), (60, 4)][script.choice(9)]
        var footer = contents.bytes(at: end, count: 512) ?? []
        change(&footer, field.0, field.1, checksumAt: 64, &script)
        contents.write(footer, at: end)
        if !isFixed, !script.oneIn(4) { contents.write(footer, at: 0) }
      case 2...4 where !isFixed:
        let locator = 576 + script.choice(8) * 24
        let fields = [
          (16, 8), (24, 4), (28, 4), (32, 4), (40, 8), (56, 4), (64, 8), (locator, 4), (locator + 8, 4),
          (locator + 16, 8),
        ]
        let field = fields[script.choice(fields.count)]
        guard var header = contents.bytes(at: 512, count: 1024) else { continue }
        change(&header, field.0, field.1, checksumAt: 36, &script)
        contents.write(header, at: 512)
      case 5 where !isFixed:
        let entry = UInt64(1536 + script.choice(8) * 4)
        var bytes = contents.bytes(at: entry, count: 4) ?? [0, 0, 0, 0]
        change(&bytes, 0, 4, checksumAt: nil, &script)
        contents.write(bytes, at: entry)
      case 6: contents.write(script.take(64), at: UInt64(script.word16()) % contents.byteCount)
      default: contents.setByteCount(UInt64(script.word32()) % (contents.byteCount + 1024))
      }
      if contents.byteCount < 1024 { return }
    }
  }

  /// A big-endian field gets a value near its own, or any.
  private static func change(
    _ bytes: inout [UInt8], _ offset: Int, _ count: Int, checksumAt place: Int?, _ script: inout Script
  ) {
    guard bytes.count >= offset + count else { return }
    var value: UInt64 = 0
    for byte in bytes[offset..<offset + count] { value = value << 8 | UInt64(byte) }
    switch script.choice(6) {
    case 0: value = 0
    case 1: value = .max
    case 2: value &+= UInt64(script.byte())
    case 3: value &-= UInt64(script.byte())
    case 4: value ^= 1 << UInt64(script.choice(64))
    default: value = script.word64()
    }
    for index in 0..<count {
      bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - index)))
    }
    guard let place, !script.oneIn(16) else { return }
    var sum: UInt32 = 0
    for (index, byte) in bytes.enumerated() where index < place || index >= place + 4 { sum &+= UInt32(byte) }
    for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: ~sum >> UInt32(8 * (3 - index))) }
  }
}
