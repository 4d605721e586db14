// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A folder for one test, removed with everything in it.
public final class TemporaryFolder: Sendable {
  public struct Failure: Error {
    public let errno: Int32
  }

  /// Absolute, without symbolic links, short enough for a socket in it.
  public let path: String

  public init() throws(Failure) {
    var template = Array("/tmp/lis-test.XXXXXX".utf8CString)
    guard let made = unsafe mkdtemp(&template), let real = unsafe realpath(made, nil) else {
      throw Failure(errno: errno)
    }
    path = unsafe String(cString: real)
    unsafe free(real)
  }

  deinit { Self.remove(path) }

  private static func remove(_ path: String) {
    for name in names(path) { remove("\(path)/\(name)") }
    _ = unsafe Glibc.remove(path)
  }

  /// The path of a file in it.
  public subscript(name: String) -> String { "\(path)/\(name)" }

  public func makeFolder(_ name: String) { unsafe mkdir(self[name], 0o755) }

  /// Writes a file, in place of one of that name; its path.
  public func write(_ name: String, _ bytes: [UInt8]) throws(Failure) -> String {
    let path = self[name]
    let descriptor = unsafe open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Failure(errno: errno) }
    defer { close(descriptor) }
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + done }, bytes.count - done)
      }
      guard count > 0 else { throw Failure(errno: errno) }
      done += count
    }
    return path
  }

  public var names: [String] { Self.names(path).sorted() }

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
