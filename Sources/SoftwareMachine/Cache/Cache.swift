// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// The user's cache folder: entries named by what they were built of, complete or absent, removable at any time.
struct Cache {
  let folder: String

  /// $XDG_CACHE_HOME/swift-lis, or ~/.cache/swift-lis.
  static func standard() throws(SoftwareMachineError) -> Cache {
    func variable(_ name: String) -> String? {
      guard let value = unsafe getenv(name).map({ unsafe String(cString: $0) }), value.hasPrefix("/") else {
        return nil
      }
      return value
    }
    if let cache = variable("XDG_CACHE_HOME") { return Cache(folder: cache + "/swift-lis") }
    if let home = variable("HOME") { return Cache(folder: home + "/.cache/swift-lis") }
    throw .preparation("neither XDG_CACHE_HOME nor HOME names a folder for the software machine's cache")
  }

  func path(_ entry: String) -> String { "\(folder)/\(entry)" }

  /// The entry's path where it exists; marks it as used.
  func find(_ entry: String) -> String? {
    let path = path(entry)
    guard unsafe utimensat(AT_FDCWD, path, nil, 0) == 0 else { return nil }
    return path
  }

  /// Names of complete entries of a kind ("kernel", "boot", "state").
  func entries(_ kind: String) -> [String] { Folder.names(folder).filter { $0.hasPrefix(kind + "-") } }

  /// Builds an entry in a temporary folder, which gets its name when it is complete. Call it with the lock held.
  func build(
    _ entry: String, _ body: (_ folder: String) throws(SoftwareMachineError) -> Void
  ) throws(SoftwareMachineError) -> String {
    let temporary = path(".new-\(entry)")
    Folder.remove(temporary)
    do {
      try Folder.make(temporary)
    } catch {
      throw .preparation("the software machine's cache cannot be written: \(error)")
    }
    do {
      try body(temporary)
    } catch {
      Folder.remove(temporary)
      throw error
    }
    let final = path(entry)
    Folder.remove(final)
    guard unsafe rename(temporary, final) == 0 else {
      let error = SystemError("rename", final)
      Folder.remove(temporary)
      throw .preparation("the software machine's cache cannot be written: \(error)")
    }
    return final
  }

  /// Waits for the one lock under which entries are built and pruned. Released at the end of the descriptor's life.
  func lock(
    interrupts: Interrupts, waiting: () -> Void
  ) throws(SoftwareMachineError) -> Descriptor {
    do {
      try Folder.make(folder)
      let file = try Descriptor.open(path("lock"), O_RDWR | O_CREAT)
      var told = false
      while flock(file.number, LOCK_EX | LOCK_NB) != 0 {
        guard errno == EWOULDBLOCK || errno == EINTR else { throw SystemError("flock", path("lock")) }
        if !told { waiting() }
        told = true
        if let signal = interrupts.pending() { throw SoftwareMachineError.interrupted(signal: signal) }
        usleep(50_000)
      }
      return file
    } catch let error as SoftwareMachineError {
      throw error
    } catch {
      throw .preparation("the software machine's cache cannot be written: \(error)")
    }
  }

  /// Removes what broken-off builds left and, of each kind, all but the most recently used. With the lock held.
  func prune(keeping kept: [String: Int] = ["kernel": 2, "boot": 6, "state": 6]) {
    for name in Folder.names(folder) where name.hasPrefix(".new-") { Folder.remove(path(name)) }
    for (kind, count) in kept {
      let dated = entries(kind).map { (name: $0, used: (try? FileStatus(at: path($0)))?.modified ?? 0) }
      for old in dated.sorted(by: { $0.used > $1.used }).dropFirst(count) { Folder.remove(path(old.name)) }
    }
  }
}
