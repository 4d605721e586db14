// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Paths as text. Nothing is resolved but the leading folder: `..` and links stay what the user wrote.
public enum FilePath {
  public static func join(_ folder: String, _ path: String) -> String {
    path.hasPrefix("/") || folder.isEmpty ? path : folder.hasSuffix("/") ? folder + path : "\(folder)/\(path)"
  }

  /// With the current folder in front, unless it is absolute already.
  public static func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/") else { return path }
    guard let folder = unsafe getcwd(nil, 0) else { return path }
    defer { unsafe free(folder) }
    return join(unsafe String(cString: folder), path)
  }
}
