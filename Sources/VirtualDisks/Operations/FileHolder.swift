// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Who has a file open: locks of open file descriptions belong to no process, so the kernel does not say who holds one.
enum FileHolder {
  /// `lis (process 123)`, for the first other process of this user that has the file open; nil when none is found.
  static func of(_ path: String) -> String? {
    guard let wanted = FileIdentity(path) else { return nil }
    for process in entries("/proc") {
      guard let number = Int32(process), number != getpid() else { continue }
      let descriptors = "/proc/\(process)/fd"
      for descriptor in entries(descriptors) where FileIdentity("\(descriptors)/\(descriptor)") == wanted {
        return "\(name(of: process)) (process \(number))"
      }
    }
    return nil
  }

  private static func entries(_ folder: String) -> [String] {
    guard let stream = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names
  }

  private static func name(of process: String) -> String {
    guard let file = unsafe fopen("/proc/\(process)/comm", "r") else { return "a program" }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    let name = bytes[..<count].prefix { $0 != 0x0a }
    return name.isEmpty ? "a program" : String(decoding: name, as: UTF8.self)
  }
}
