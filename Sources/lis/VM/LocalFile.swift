// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import HostSystem
import Synchronization

/// A file of the host on its way into a guest.
final class LocalFile: Sendable {
  let byteCount: UInt64
  private let path: String
  private let descriptor: Int32

  init(_ path: String) throws(ControlError) {
    self.path = path
    let opened = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard opened >= 0 else {
      throw ControlError(.input, "cannot open \(path): \(Self.reason)", remedy: "check the path and its permissions")
    }
    var status = stat()
    guard unsafe fstat(opened, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(opened)
      throw ControlError(.input, "\(path) is not a file", remedy: "only files can be copied")
    }
    descriptor = opened
    byteCount = UInt64(max(0, status.st_size))
  }

  deinit { close(descriptor) }

  /// The file's bytes, up to the size it had when it was opened; `copied` gets the sum so far.
  func source(copied: @escaping @Sendable (UInt64) -> Void) -> FileCopySource {
    let position = Position()
    return FileCopySource(byteCount: byteCount) { [self] () async throws(ControlError) -> [UInt8]? in
      let offset = position.value
      copied(offset)
      guard offset < byteCount else { return nil }
      var bytes = [UInt8](repeating: 0, count: Int(min(65_536, byteCount - offset)))
      let count = unsafe bytes.withUnsafeMutableBytes {
        unsafe pread(descriptor, $0.baseAddress, $0.count, Int(offset))
      }
      guard count > 0 else {
        throw ControlError(
          .input, "cannot read \(path) at byte \(offset): \(count == 0 ? "it has become shorter" : Self.reason)")
      }
      position.advance(by: UInt64(count))
      return Array(bytes.prefix(count))
    }
  }

  private static var reason: String { SystemError.message(errno) }

  private final class Position: Sendable {
    private let state = Atomic<UInt64>(0)
    var value: UInt64 { state.load(ordering: .relaxed) }
    func advance(by count: UInt64) { state.add(count, ordering: .relaxed) }
  }
}
