// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The QEMU program: where it is.
enum QEMU {
  /// The program's path: LIS_QEMU, else the first qemu-system-x86_64 in PATH.
  static func find() -> String? {
    if let named = unsafe getenv("LIS_QEMU") {
      let path = unsafe String(cString: named)
      return unsafe access(path, X_OK) == 0 ? path : nil
    }
    let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/bin:/bin"
    for folder in path.split(separator: ":") {
      let candidate = "\(folder)/qemu-system-x86_64"
      if unsafe access(candidate, X_OK) == 0 { return candidate }
    }
    return nil
  }
}
