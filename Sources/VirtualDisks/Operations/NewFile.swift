// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// A file under construction: under a temporary name beside its final one, removed unless it is published.
final class NewFile {
  let store: FileStore
  private let path: String
  private let temporary: String
  private var isPublished = false
  /// Keeps an existing target from being used meanwhile.
  private let replaced: FileStore?
  private let replaces: Bool

  /// In place of an image that the caller has open and locked.
  convenience init(_ path: String, replacing original: String) throws(OperationError) {
    try self.init(FileIdentity.resolved(original) ?? path, overwrites: true, isLocked: true)
  }

  /// `overwrites`: whether a file of this name may be there. It is not touched before the new one is complete.
  init(_ path: String, overwrites: Bool, isLocked: Bool = false) throws(OperationError) {
    self.path = path
    var status = stat()
    replaces = unsafe lstat(path, &status) == 0
    if replaces {
      guard overwrites else { throw .exists(path) }
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw .refused("\(path) is not a file", remedy: "only files can be replaced")
      }
      do throws(StoreError) {
        replaced = isLocked ? nil : try FileStore(path: path, mode: .readWrite)
      } catch {
        guard error.reason == .inUse, let holder = FileHolder.of(path) else { throw OperationError(error) }
        throw .image(ImageError(file: path, structure: "held by \(holder)", .store(error)))
      }
    } else {
      replaced = nil
    }
    let folder = FileIdentity.folder(of: path)
    let name = path.split(separator: "/").last.map(String.init) ?? path
    let suffix = String(UInt32.random(in: 0 ... .max), radix: 36)
    // A name must not become too long for the file system.
    temporary = "\(folder)/.\(name.utf8.count > 200 ? "disk" : name).\(suffix).partial"
    do throws(StoreError) {
      store = try FileStore(path: temporary, mode: .create, name: path)
    } catch {
      throw OperationError(error)
    }
    if replaces {
      let mode = status.st_mode & 0o7777
      _ = unsafe chmod(temporary, mode)
    }
  }

  deinit {
    if !isPublished { _ = unsafe unlink(temporary) }
  }

  /// Durable, under its final name, when it returns.
  func publish() throws(OperationError) {
    try onStore { () throws(StoreError) in try store.flush() }
    let result: Int32
    if replaces {
      result = unsafe rename(temporary, path)
    } else {
      // Unlike a rename this never replaces a file that has appeared meanwhile.
      let linked = unsafe link(temporary, path)
      if linked != 0, errno == EEXIST { throw .exists(path) }
      result = linked == 0 ? unsafe unlink(temporary) : unsafe rename(temporary, path)
    }
    guard result == 0 else {
      throw .image(
        ImageError(StoreError(name: path, operation: .open, reason: .system(errno: errno)), structure: "new file"))
    }
    isPublished = true
    let folder = unsafe open(FileIdentity.folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if folder >= 0 {
      fsync(folder)
      close(folder)
    }
  }

  /// Takes space for the whole file, so that writing it never runs out.
  func preallocate(_ byteCount: UInt64) throws(OperationError) {
    let result = clinux_allocate(store.directDescriptor ?? -1, 0, byteCount)
    switch -result {
    case 0: return
    case ENOSPC, EDQUOT, EFBIG:
      throw .image(
        ImageError(
          StoreError(name: path, operation: .resize, reason: .noSpace, offset: byteCount), structure: "new file"))
    // A file system that cannot: the file stays sparse.
    default: return
    }
  }
}
