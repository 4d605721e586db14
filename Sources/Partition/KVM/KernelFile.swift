// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The small files in which the host's kernel says something about itself.
enum KernelFile {
  /// The first bytes of a file, `count` at most; none when it cannot be read.
  static func start(of path: String, count: Int) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return [] }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: count)
    let found = unsafe bytes.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
    return Array(bytes.prefix(max(0, found)))
  }
}
