// SPDX-License-Identifier: Apache-2.0

import HostSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Where running machines of this user are found: `$XDG_RUNTIME_DIR/swift-lis`, or `/tmp/swift-lis-<uid>` where the
/// session has no usable runtime folder. One folder per machine inside.
///
/// The folder belongs to this user and nobody else may enter it: that is the whole access control of the API.
public struct RuntimeDirectory: Hashable, Sendable {
  public let path: String
  /// The folder that this one is in, where that is ours as well.
  private let outer: String?

  /// A folder elsewhere, for tests and for the software machine.
  public init(path: String) {
    self.path = path
    outer = nil
  }

  /// The folder of this user. Nothing is created.
  public static func standard() -> RuntimeDirectory {
    let user = geteuid()
    if let base = environment("XDG_RUNTIME_DIR"), base.hasPrefix("/"), let status = FileStatus(base),
      status.isFolder, status.owner == user
    {
      return RuntimeDirectory(path: base + "/swift-lis")
    }
    return RuntimeDirectory(path: "/tmp/swift-lis-\(user)")
  }

  /// Where the virtual switches of this user are found: a folder beside those of machines that no machine's name can name.
  public static func switches() -> RuntimeDirectory {
    let machines = RuntimeDirectory.standard()
    return RuntimeDirectory(path: machines.path + "/.switches", inside: machines.path)
  }

  private init(path: String, inside outer: String) {
    self.path = path
    self.outer = outer
  }

  public func folder(of name: MachineName) -> String { "\(path)/\(name)" }
  public func socket(of name: MachineName) -> String { "\(path)/\(name)/control.sock" }
  /// Where machines attach to a switch.
  public func ports(of name: MachineName) -> String { "\(path)/\(name)/ports.sock" }
  func lock(of name: MachineName) -> String { "\(path)/\(name)/lock" }

  /// The machines that run now, by name. Leftovers of dead ones are removed on the way.
  public func runningMachines() -> [MachineName] {
    folderEntries(path).compactMap { entry in
      guard let name = MachineName(entry), isRunning(name) else { return nil }
      return name
    }.sorted { $0.text < $1.text }
  }

  /// Whether a process holds the machine's lock. Leftovers of a dead one are removed.
  public func isRunning(_ name: MachineName) -> Bool {
    guard let lock = LockFile(existing: lock(of: name)) else { return false }
    guard lock.tryLock() else { return true }
    if lock.isStillAt(self.lock(of: name)) { removeLeftovers(of: name) }
    return false
  }

  /// Removes what a machine leaves in its folder. The caller holds the lock.
  func removeLeftovers(of name: MachineName) {
    _ = unsafe unlink(socket(of: name))
    _ = unsafe unlink(ports(of: name))
    _ = unsafe unlink(lock(of: name))
    _ = unsafe rmdir(folder(of: name))
  }

  /// Creates the folder, or checks that the one that is there is ours alone: `/tmp` is open to all, and a folder (or
  /// symbolic link) that somebody else put there first must not be trusted.
  func create() throws(ControlError) {
    if let outer { try RuntimeDirectory(path: outer).create() }
    if unsafe mkdir(path, 0o700) == 0 { return }
    guard errno == EEXIST else {
      throw ControlError(
        .hostFailure, "cannot create the runtime folder \(path): \(errorText(errno))",
        remedy: "set XDG_RUNTIME_DIR to a folder of yours")
    }
    guard let status = FileStatus(path), status.isFolder, status.owner == geteuid(), status.permissions & 0o077 == 0
    else {
      throw ControlError(
        .hostFailure, "the runtime folder \(path) is not a folder that only you may enter",
        remedy: "remove it, or set XDG_RUNTIME_DIR to a folder of yours")
    }
  }

  /// Names of the entries of a folder; none if it cannot be read.
  private func folderEntries(_ path: String) -> [String] {
    guard let folder = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if let name { names.append(name) }
    }
    return names
  }
}

func environment(_ name: String) -> String? {
  unsafe getenv(name).map { unsafe String(cString: $0) }
}

func errorText(_ code: Int32) -> String {
  SystemError.message(code)
}
