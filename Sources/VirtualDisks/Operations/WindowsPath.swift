// SPDX-License-Identifier: Apache-2.0

/// Paths as Windows writes them into images, and as this host reads them.
enum WindowsPath {
  /// With slashes and without a drive. nil for a share of another machine, which is no path of this host.
  static func hostPath(_ path: String) -> String? {
    guard !path.isEmpty, !path.utf8.contains(0) else { return nil }
    var host = String(path.map { $0 == "\\" ? "/" : $0 })
    // \\?\C:\x is a long form of C:\x; \\server\share is a share, and so is \\?\UNC\server\share.
    if host.hasPrefix("//?/") { host.removeFirst(4) }
    guard !host.hasPrefix("//"), !host.hasPrefix("UNC/") else { return nil }
    let start = Array(host.utf8.prefix(3))
    if start.count == 3, isLetter(start[0]), start[1] == UInt8(ascii: ":"), start[2] == UInt8(ascii: "/") {
      host.removeFirst(2)
    }
    return host
  }

  /// A path of this host, written with Windows' separators; a relative one always starts with a dot.
  static func windowsPath(_ path: String) -> String {
    let start = path.hasPrefix("/") || path.hasPrefix("../") || path.hasPrefix("./") ? "" : ".\\"
    return start + String(path.map { $0 == "/" ? "\\" : $0 })
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5a).contains(byte & 0xdf) }
}
