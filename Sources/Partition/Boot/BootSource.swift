// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// An open boot file. It stays open, so that every reset loads what the start loaded, whatever happens to the path.
final class BootSource: BootBytes, Sendable {
  /// As errors name it.
  let path: String
  let byteCount: UInt64
  private let offset: UInt64
  private let descriptor: Descriptor

  init(opening file: BootFile) throws(BootSourceProblem) {
    let raw = unsafe open(file.path, O_RDONLY | O_CLOEXEC)
    guard raw >= 0 else {
      switch errno {
      case ENOENT, ENOTDIR: throw .init(.missing)
      case EACCES, EPERM: throw .init(.noPermission)
      default: throw .init(.unreadable(errno: errno))
      }
    }
    descriptor = Descriptor(owning: raw)
    path = file.name
    offset = file.offset
    var status = stat()
    guard unsafe fstat(raw, &status) == 0 else { throw .init(.unreadable(errno: errno)) }
    let kind = status.st_mode & S_IFMT
    var available = UInt64(clamping: status.st_size)
    if kind == S_IFBLK {
      available = UInt64(clamping: lseek(raw, 0, SEEK_END))
    } else if kind != S_IFREG {
      throw .init(.notAFile)
    }
    guard available > file.offset else { throw .init(.empty) }
    let rest = available - file.offset
    if let length = file.length {
      guard length <= rest else { throw .init(.truncated(needed: length, available: rest)) }
      byteCount = length
    } else {
      byteCount = rest
    }
    guard byteCount > 0 else { throw .init(.empty) }
  }

  /// Reads exactly `destination.count` bytes from byte `position` of the file's part.
  func read(at position: UInt64, into destination: UnsafeMutableRawBufferPointer) throws(BootSourceProblem) {
    var done = 0
    while done < destination.count {
      guard let base = destination.baseAddress else { return }
      let result = unsafe pread(
        descriptor.number, base + done, destination.count - done, off_t(clamping: offset &+ position &+ UInt64(done)))
      if result < 0 {
        if errno == EINTR { continue }
        throw .init(.unreadable(errno: errno))
      }
      guard result > 0 else {
        throw .init(.truncated(needed: position &+ UInt64(destination.count), available: position &+ UInt64(done)))
      }
      done += result
    }
  }
}

/// A boot file that cannot be opened or read.
struct BootSourceProblem: Error, Equatable, Sendable {
  var problem: BootFileProblem
  init(_ problem: BootFileProblem) { self.problem = problem }
}
