// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

extension FileStore {
  /// QEMU's permissions by number: 0 consistent read, 1 write, 3 resize; 100 + n taken, 200 + n denied to others.
  private enum LockByte {
    static let reading: UInt64 = 100
    static let writing: UInt64 = 101
    static let resizing: UInt64 = 103
    static let writingDenied: UInt64 = 201
    static let resizingDenied: UInt64 = 203
    static let everything: Range<UInt64> = 100..<300
  }

  static func take(_ lock: Lock, _ descriptor: Int32, _ path: String) throws(StoreError) {
    switch lock {
    case .none: return
    case .exclusive:
      let all = LockByte.everything
      try check(clinux_lock_range(descriptor, 1, all.lowerBound, UInt64(all.count)), path)
    case .shared:
      for byte in [LockByte.reading, LockByte.writingDenied, LockByte.resizingDenied] {
        try check(clinux_lock_range(descriptor, 0, byte, 1), path)
      }
      for byte in [LockByte.writing, LockByte.resizing] {
        let held = clinux_range_locked(descriptor, byte, 1)
        try check(held > 0 ? -EAGAIN : held, path)
      }
    }
  }

  /// Somebody else has the file open, even if only to read it.
  var isLockedByOthers: Bool {
    let all = LockByte.everything
    return clinux_range_locked(directDescriptor ?? -1, all.lowerBound, UInt64(all.count)) > 0
  }

  private static func check(_ result: Int32, _ path: String) throws(StoreError) {
    switch -result {
    case 0: return
    case EAGAIN, EACCES: throw StoreError(name: path, operation: .lock, reason: .inUse)
    // A file system without locks: the user's risk, as with every other tool.
    case EINVAL, ENOLCK, EOPNOTSUPP, ENOSYS: return
    case let code: throw failure(path, .lock, code)
    }
  }

  /// Regular files and block devices only: a directory, a FIFO or a terminal is nobody's disk.
  static func checkKind(_ descriptor: Int32, _ path: String) throws(StoreError) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw failure(path, .open, errno) }
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFREG || kind == S_IFBLK else {
      throw StoreError(name: path, operation: .open, reason: .unsupported)
    }
  }

  static func failure(
    _ path: String, _ operation: StoreError.Operation, _ code: Int32, _ offset: UInt64? = nil
  ) -> StoreError {
    let reason: StoreError.Reason =
      switch code {
      case ENOSPC, EDQUOT: .noSpace
      case EROFS: .readOnly
      case EOPNOTSUPP, ENOSYS: operation == .deallocate ? .unsupported : .system(errno: code)
      default: .system(errno: code)
      }
    return StoreError(name: path, operation: operation, reason: reason, offset: offset)
  }
}
