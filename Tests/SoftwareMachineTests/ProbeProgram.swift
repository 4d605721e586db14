// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The probe program beside the test bundle.
enum ProbeProgram {
  static let path: String? = {
    var name = [CChar](repeating: 0, count: 4096)
    let folders = CommandLine.arguments.prefix(1).map(parent) + [".build/debug", ".build/release"]
    let count = unsafe readlink("/proc/self/exe", &name, name.count)
    let own = String(decoding: name[..<max(0, count)].map(UInt8.init(bitPattern:)), as: UTF8.self)
    return (folders + [parent(own)]).map { $0 + "/SoftwareMachineProbe" }
      .first { unsafe access($0, X_OK) == 0 }
  }()

  static func parent(_ path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
  }
}
