// SPDX-License-Identifier: Apache-2.0

import VMBus

/// Makes an empty VHD in an empty store.
public struct VHDCreation: Sendable {
  /// What a differencing disk remembers of its parent.
  public struct Parent: Sendable {
    public var identifier: GUID
    /// The parent's own time stamp.
    public var timestamp: VHDTimestamp
    /// From the child's folder, with slashes.
    public var relativePath: String
    public var absolutePath: String

    public init(identifier: GUID, timestamp: VHDTimestamp, relativePath: String, absolutePath: String) {
      self.identifier = identifier
      self.timestamp = timestamp
      self.relativePath = relativePath
      self.absolutePath = absolutePath
    }
  }

  public static let blockSizes: ClosedRange<UInt32> = 256 << 10...256 << 20

  public var byteCount: UInt64
  public var kind: ImageKind
  public var blockByteCount: UInt32 = VHDDynamicHeader.defaultBlockSize
  public var identifier: GUID = VHDIdentifier.random().guid
  public var timestamp: VHDTimestamp = .now
  /// For `.differencing`.
  public var parent: Parent?

  public init(byteCount: UInt64, kind: ImageKind) {
    self.byteCount = byteCount
    self.kind = kind
  }

  /// Durable when it returns. The store must be empty; what it holds after an error is for the caller to remove.
  public func write(to store: any ByteStore) throws(ImageError) {
    func refuse(_ what: String) -> ImageError { ImageError(file: store.name, structure: "", .invalid(what)) }
    guard byteCount > 0, byteCount % 512 == 0, byteCount <= VHDFooter.largestDisk else {
      throw refuse("a VHD cannot have \(byteCount) bytes: it takes whole sectors of 512 bytes, up to 2040 GiB")
    }
    guard Self.blockSizes.contains(blockByteCount), blockByteCount & (blockByteCount - 1) == 0 else {
      throw refuse("blocks of a VHD are powers of two between 256 KiB and 256 MiB, not \(blockByteCount) bytes")
    }
    let fileKind: VHDFooter.Kind =
      switch kind {
      case .fixed: .fixed
      case .dynamic: .dynamic
      case .differencing: .differencing
      }
    guard (kind == .differencing) == (parent != nil) else {
      throw refuse("a differencing disk needs a parent, and no other kind has one")
    }
    let footer = VHDFooter(kind: fileKind, size: byteCount, identifier: VHDIdentifier(identifier), timestamp: timestamp)
    do throws(StoreError) {
      if kind == .fixed {
        try store.write(footer.encoded(), at: byteCount)
      } else {
        try writeDynamic(footer, store)
      }
      try store.flush()
    } catch {
      throw ImageError(error)
    }
  }

  /// Footer copy, header, parent paths, table, footer, without gaps.
  private func writeDynamic(_ footer: VHDFooter, _ store: any ByteStore) throws(StoreError) {
    var header = VHDDynamicHeader(
      tableOffset: 0, tableEntries: UInt32((byteCount - 1) / UInt64(blockByteCount) + 1), blockSize: blockByteCount)
    var next = UInt64(VHDFooter.byteCount + VHDDynamicHeader.byteCount)
    var paths: [(offset: UInt64, bytes: [UInt8])] = []
    if let parent {
      header.parentIdentifier = VHDIdentifier(parent.identifier)
      header.parentTimestamp = parent.timestamp
      let name = parent.absolutePath.split(separator: "/").last.map(String.init) ?? parent.absolutePath
      header.parentName = Array(name.utf16)
      let texts: [(VHDParentLocator.Platform, String)] = [
        (.relative, WindowsPath.windowsPath(parent.relativePath)),
        (.absolute, WindowsPath.windowsPath(parent.absolutePath)),
      ]
      for (platform, text) in texts {
        let bytes = text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        let space = UInt64(bytes.count + 511) / 512 * 512
        header.locators.append(
          VHDParentLocator(
            platform: platform, dataSpace: UInt32(space), dataLength: UInt32(bytes.count), dataOffset: next))
        paths.append((next, bytes))
        next += space
      }
    }
    header.tableOffset = next
    try store.write(footer.encoded(), at: 0)
    try store.write(header.encoded(), at: UInt64(VHDFooter.byteCount))
    for (offset, bytes) in paths { try store.write(bytes, at: offset) }
    var left = header.tableBytes
    while left > 0 {
      let count = min(left, 1 << 20)
      try store.write([UInt8](repeating: 0xff, count: Int(count)), at: next)
      next += count
      left -= count
    }
    try store.write(footer.encoded(), at: next)
  }
}
