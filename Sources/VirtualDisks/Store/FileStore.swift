// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// A host file (or block device) as a store.
///
/// The lock lies on the byte ranges that QEMU's tools use for theirs (one byte per permission taken at 100, one per
/// permission denied to others at 200), so the two keep out of each other's images.
public final class FileStore: ByteStore {
  public enum Mode: Sendable {
    case readOnly, readWrite
    /// Makes a file that must not exist yet.
    case create
  }

  public enum Lock: Sendable {
    /// No other reader or writer.
    case exclusive
    /// Other readers, no writer.
    case shared
    /// To look at a file that somebody else may be changing: nothing read is certain.
    case none
  }

  public let name: String
  public let isReadOnly: Bool
  public let isInMemory: Bool
  private let descriptor: Int32

  /// `.exclusive` for a file opened to write, `.shared` for one opened to read, unless `lock` says otherwise. `name`: what errors call the file.
  public init(path: String, mode: Mode, lock: Lock? = nil, name: String? = nil) throws(StoreError) {
    self.name = name ?? path
    isReadOnly = mode == .readOnly
    let flags: Int32 =
      switch mode {
      case .readOnly: O_RDONLY
      case .readWrite: O_RDWR
      case .create: O_RDWR | O_CREAT | O_EXCL
      }
    // Not blocking: a FIFO in place of an image must not hang the machine; regular files do not notice.
    let opened = unsafe open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0o644)
    guard opened >= 0 else { throw Self.failure(path, .open, errno) }
    do throws(StoreError) {
      try Self.checkKind(opened, path)
      try Self.take(lock ?? (mode == .readOnly ? .shared : .exclusive), opened, path)
    } catch {
      close(opened)
      throw error
    }
    descriptor = opened
    isInMemory = clinux_file_in_memory(opened) > 0
  }

  deinit { close(descriptor) }

  public var directDescriptor: Int32? { descriptor }

  public func byteCount() throws(StoreError) -> UInt64 {
    // Not fstat: a block device has its size only here.
    let end = lseek(descriptor, 0, SEEK_END)
    guard end >= 0 else { throw Self.failure(name, .size, errno) }
    return UInt64(end)
  }

  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
    guard let base = buffer.baseAddress else { return }
    var done = 0
    while done < buffer.count {
      let place = try position(.read, offset, done)
      let count = unsafe pread(descriptor, base + done, buffer.count - done, place)
      if count > 0 {
        done += count
      } else if count == 0 {
        throw error(.read, .endOfFile, at: UInt64(place))
      } else if errno != EINTR {
        throw Self.failure(name, .read, errno, UInt64(place))
      }
    }
  }

  public func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(StoreError) {
    guard !isReadOnly else { throw error(.write, .readOnly, at: offset) }
    guard let base = buffer.baseAddress else { return }
    var done = 0
    while done < buffer.count {
      let place = try position(.write, offset, done)
      let count = unsafe pwrite(descriptor, base + done, buffer.count - done, place)
      if count > 0 {
        done += count
      } else if count == 0 {
        throw error(.write, .noSpace, at: UInt64(place))
      } else if errno != EINTR {
        throw Self.failure(name, .write, errno, UInt64(place))
      }
    }
  }

  public func flush() throws(StoreError) {
    guard !isReadOnly else { return }
    while fdatasync(descriptor) != 0 {
      guard errno == EINTR else { throw Self.failure(name, .flush, errno) }
    }
  }

  public func setByteCount(_ count: UInt64) throws(StoreError) {
    guard !isReadOnly else { throw error(.resize, .readOnly, at: count) }
    guard let size = off_t(exactly: count) else { throw Self.failure(name, .resize, EFBIG, count) }
    while ftruncate(descriptor, size) != 0 {
      guard errno == EINTR else { throw Self.failure(name, .resize, errno, count) }
    }
  }

  public func deallocate(at offset: UInt64, count: UInt64) throws(StoreError) {
    guard !isReadOnly else { throw error(.deallocate, .readOnly, at: offset) }
    guard count > 0 else { return }
    let result = clinux_punch_hole(descriptor, offset, count)
    guard result == 0 else { throw Self.failure(name, .deallocate, -result, offset) }
  }

  public func reserve(at offset: UInt64, count: UInt64) throws(StoreError) {
    guard !isReadOnly else { throw error(.resize, .readOnly, at: offset) }
    guard count > 0 else { return }
    let result = clinux_allocate(descriptor, offset, count)
    if -result == EOPNOTSUPP || -result == ENODEV {
      if try byteCount() < offset + count { try setByteCount(offset + count) }
    } else if result != 0 {
      throw Self.failure(name, .resize, -result, offset)
    }
  }

  private func position(_ operation: StoreError.Operation, _ offset: UInt64, _ done: Int) throws(StoreError) -> off_t {
    guard let place = off_t(exactly: offset &+ UInt64(done)), offset <= UInt64(off_t.max) else {
      throw Self.failure(name, operation, EFBIG, offset)
    }
    return place
  }
}
