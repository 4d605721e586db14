// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import Partition

/// A folder for boot files, gone when this object ends.
final class BootFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/lis-boot-XXXXXX".utf8CString)
    let made = unsafe mkdtemp(&template) != nil
    try #require(made)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    if let entries = unsafe opendir(path) {
      while let entry = unsafe readdir(entries) {
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
          unsafe String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
        }
        unsafe unlink(path + "/" + name)
      }
      unsafe closedir(entries)
    }
    unsafe rmdir(path)
  }

  func file(_ name: String, _ bytes: [UInt8]) -> BootFile {
    let file = path + "/" + name
    let descriptor = unsafe open(file, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    return BootFile(path: file)
  }
}
