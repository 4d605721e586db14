// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What a file copy message asks for.
public struct FileCopyOperation: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  @inlinable public static var start: Self { Self(rawValue: 0) }
  @inlinable public static var write: Self { Self(rawValue: 1) }
  @inlinable public static var complete: Self { Self(rawValue: 2) }
  @inlinable public static var cancel: Self { Self(rawValue: 3) }
}

/// How a copy is to treat what is there.
public struct FileCopyFlags: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  @inlinable public static var overwrite: Self { Self(rawValue: 1) }
  @inlinable public static var createPath: Self { Self(rawValue: 2) }

  @inlinable public func contains(_ other: Self) -> Bool { rawValue & other.rawValue == other.rawValue }
  @inlinable public func union(_ other: Self) -> Self { Self(rawValue: rawValue | other.rawValue) }
}

/// The header of every file copy message: operation u32 and two GUIDs that nobody uses. It is all of `complete` and
/// `cancel`. Offsets are from the start of the body.
///
/// Layout: `hv_fcopy_hdr` in include/uapi/linux/hyperv.h of Linux 6.1.
public struct FileCopyHeader: Hashable, Sendable {
  public static let wireSize = 36

  /// Offset 0.
  public var operation: FileCopyOperation

  public init(operation: FileCopyOperation) {
    self.operation = operation
  }

  public init(decoding body: RawSpan) throws(WireError) {
    operation = FileCopyOperation(rawValue: try body.read(UInt32.self, at: 0))
    guard body.byteCount >= Self.wireSize else {
      throw .truncated(needed: Self.wireSize, available: body.byteCount)
    }
  }

  @_lifetime(body: copy body)
  public func encode(into body: inout MutableRawSpan) throws(WireError) {
    try body.write(operation.rawValue, at: 0)
    for offset in 0..<4 { try body.write(UInt64(0), at: 4 &+ 8 &* offset) }
  }
}

/// The start of a copy, the texts apart. Layout: `hv_start_fcopy`.
public struct FileCopyStart: Hashable, Sendable {
  public static let bodySize = 1088
  /// The file's name and its folder: UTF-16 with a terminator, 260 units each.
  public static let nameOffset = 36
  public static let folderOffset = 556
  public static let textUnits = 260

  /// Offset 1076.
  public var flags: FileCopyFlags
  /// Bytes. Offset 1080.
  public var size: UInt64

  public init(flags: FileCopyFlags, size: UInt64) {
    self.flags = flags
    self.size = size
  }

  public init(decoding body: RawSpan) throws(WireError) {
    flags = FileCopyFlags(rawValue: try body.read(UInt32.self, at: 1076))
    size = try body.read(UInt64.self, at: 1080)
  }

  /// Writes header, flags and size; the texts are left as they are.
  @_lifetime(body: copy body)
  public func encode(into body: inout MutableRawSpan) throws(WireError) {
    try FileCopyHeader(operation: .start).encode(into: &body)
    try body.write(flags.rawValue, at: 1076)
    try body.write(size, at: 1080)
  }
}

/// A fragment of the file, its bytes apart. Layout: `hv_do_fcopy`. Linux 6.1 reads the whole structure, however short
/// the fragment is.
public struct FileCopyWrite: Hashable, Sendable {
  public static let bodySize = 6196
  public static let dataOffset = 52
  public static let dataCapacity = 6144

  /// Offset 40, after four bytes of padding.
  public var offset: UInt64
  /// Bytes of this fragment. Offset 48.
  public var count: UInt32

  public init(offset: UInt64, count: UInt32) {
    self.offset = offset
    self.count = count
  }

  /// Fails when the fragment is larger than its field.
  public init(decoding body: RawSpan) throws(WireError) {
    offset = try body.read(UInt64.self, at: 40)
    count = try body.read(UInt32.self, at: 48)
    guard count <= UInt32(Self.dataCapacity) else { throw .invalid(offset: 48) }
    guard body.byteCount >= Self.bodySize else {
      throw .truncated(needed: Self.bodySize, available: body.byteCount)
    }
  }

  /// Writes header, offset and count; the bytes are left as they are.
  @_lifetime(body: copy body)
  public func encode(into body: inout MutableRawSpan) throws(WireError) {
    try FileCopyHeader(operation: .write).encode(into: &body)
    try body.write(UInt32(0), at: 36)
    try body.write(offset, at: 40)
    try body.write(count, at: 48)
  }
}
