// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// An open file used for its `flock`. The kernel drops the lock when the process ends, however it ends, which is what
/// tells a running machine from a dead one's leftovers.
struct LockFile: ~Copyable {
  private let descriptor: Int32

  /// Opens a file that must be there.
  init?(existing path: String) {
    descriptor = unsafe open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { return nil }
  }

  /// Opens or creates.
  init?(creating path: String) {
    descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { return nil }
  }

  deinit { close(descriptor) }

  func tryLock() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }

  /// A listing holds the lock of a leftover for microseconds while it removes it; that must not look like a running
  /// machine.
  func tryLockPatiently() -> Bool {
    for _ in 0..<10 {
      usleep(5000)
      if tryLock() { return true }
    }
    return false
  }

  /// Whether the file that was locked is the one at this path: between open and lock another process may have removed
  /// it, and a lock on a removed file protects nothing.
  func isStillAt(_ path: String) -> Bool {
    guard let mine = FileStatus(descriptor: descriptor), let there = FileStatus(path) else { return false }
    return mine.device == there.device && mine.inode == there.inode
  }
}

/// The few fields of `stat` that are looked at. Symbolic links are not followed.
struct FileStatus {
  let device: UInt64
  let inode: UInt64
  let owner: UInt32
  let mode: UInt32

  init?(_ path: String) {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return nil }
    self.init(status)
  }

  init?(descriptor: Int32) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { return nil }
    self.init(status)
  }

  private init(_ status: stat) {
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    owner = status.st_uid
    mode = status.st_mode
  }

  var isFolder: Bool { mode & S_IFMT == S_IFDIR }
  var permissions: UInt32 { mode & 0o7777 }
}
