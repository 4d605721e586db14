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
