// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// Folders: make, list, remove.
enum Folder {
  /// Makes a folder and those above it, for the user alone.
  static func make(_ path: String) throws(SystemError) {
    if unsafe mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw SystemError("mkdir", path)
    }
    try make(String(path[..<slash]))
    guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else { throw SystemError("mkdir", path) }
  }

  /// The names in a folder, sorted; empty where it cannot be read.
  static func names(_ path: String) -> [String] {
    guard let folder = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Removes a file or a whole tree; what is gone already is no error. Links are removed, not followed.
  static func remove(_ path: String) {
    if unsafe unlink(path) == 0 || errno == ENOENT { return }
    for name in names(path) { remove("\(path)/\(name)") }
    _ = unsafe rmdir(path)
  }
}
