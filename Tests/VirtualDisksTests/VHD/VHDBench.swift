// SPDX-License-Identifier: Apache-2.0

import StoreDoubles
import Testing

@testable import VirtualDisks

/// VHDs in memory for tests.
enum VHDBench {
  static let blockSize: UInt32 = 256 << 10

  static func make(
    _ kind: ImageKind, _ byteCount: UInt64, blockSize: UInt32 = blockSize, parent: VHDImage? = nil
  ) throws -> CrashStore {
    let store = CrashStore(name: "\(kind.rawValue).vhd")
    var creation = VHDCreation(byteCount: byteCount, kind: kind)
    creation.blockByteCount = blockSize
    if let parent {
      creation.parent = VHDCreation.Parent(
        identifier: try #require(parent.information.identifier), timestamp: parent.timestamp,
        relativePath: "parent.vhd", absolutePath: "/disks/parent.vhd")
    }
    try creation.write(to: store)
    return store
  }

  /// The same contents as a new file, as after a power failure or a copy.
  static func copy(_ contents: SparseBytes, isReadOnly: Bool = false) -> CrashStore {
    CrashStore(contents, name: "copy.vhd", isReadOnly: isReadOnly)
  }
}

extension DiskImage {
  func write(_ bytes: [UInt8], at offset: UInt64) throws {
    try unsafe bytes.withUnsafeBytes { try unsafe write(at: offset, from: $0) }
  }

  func bytes(at offset: UInt64, count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xee, count: count)
    try unsafe bytes.withUnsafeMutableBytes { try unsafe read(at: offset, into: $0) }
    return bytes
  }
}

/// Random numbers that are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}
