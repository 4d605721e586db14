// SPDX-License-Identifier: Apache-2.0

enum RelativePath {
  /// The way from a folder to a file, both absolute and without links: `../base/disk.vhd`.
  static func from(_ folder: String, to file: String) -> String {
    let start = folder.split(separator: "/")
    let end = file.split(separator: "/")
    let common = zip(start, end).prefix { $0 == $1 }.count
    return (start[common...].map { _ in ".." } + end[common...]).joined(separator: "/")
  }
}
