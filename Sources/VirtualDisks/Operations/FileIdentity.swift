// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Which file a path leads to, whatever it is called.
public struct FileIdentity: Hashable, Sendable {
  public var device: UInt64
  public var inode: UInt64
  /// Of the last change of its content, whole seconds since 1970.
  public var modified: Int64

  public static func == (left: FileIdentity, right: FileIdentity) -> Bool {
    left.device == right.device && left.inode == right.inode
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(device)
    hasher.combine(inode)
  }

  public init(device: UInt64, inode: UInt64, modified: Int64) {
    self.device = device
    self.inode = inode
    self.modified = modified
  }

  /// nil when there is nothing.
  init?(_ path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    modified = Int64(status.st_mtim.tv_sec)
  }

  /// What a file takes on the host.
  static func allocated(_ path: String) -> UInt64 {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? UInt64(max(0, status.st_blocks)) * 512 : 0
  }

  /// The path without links, `.` and `..`; nil when there is nothing.
  static func resolved(_ path: String) -> String? {
    guard let found = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(found) }
    return unsafe String(cString: found)
  }

  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
