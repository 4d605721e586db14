// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A folder for one test, removed with everything in it.
final class TemporaryFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/lis-disk-test.XXXXXX".utf8CString)
    guard let made = unsafe mkdtemp(&template), let real = unsafe realpath(made, nil) else {
      throw TestFailure("no temporary folder")
    }
    path = unsafe String(cString: real)
    unsafe free(real)
  }

  deinit { Self.remove(path) }

  private static func remove(_ path: String) {
    for name in names(path) { remove("\(path)/\(name)") }
    _ = unsafe Glibc.remove(path)
  }

  subscript(name: String) -> String { "\(path)/\(name)" }

  func makeFolder(_ name: String) { unsafe mkdir(self[name], 0o755) }

  var names: [String] { Self.names(path).sorted() }

  private static func names(_ path: String) -> [String] {
    guard let stream = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(stream) }
    var result: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != ".", name != ".." { result.append(name) }
    }
    return result
  }
}
