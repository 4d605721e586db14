// SPDX-License-Identifier: Apache-2.0

/// A file to be copied into the guest.
public struct FileCopyRequest: Hashable, Sendable {
  /// The name in the folder, at most 259 UTF-16 units and without a slash.
  public var name: String
  /// The guest's folder, absolute, at most 259 UTF-16 units.
  public var folder: String
  public var size: UInt64
  public var overwrite: Bool
  /// Make missing folders.
  public var createPath: Bool

  public init(name: String, folder: String, size: UInt64, overwrite: Bool = false, createPath: Bool = false) {
    self.name = name
    self.folder = folder
    self.size = size
    self.overwrite = overwrite
    self.createPath = createPath
  }
}
