// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The right to run a machine under a name: its folder, with the lock held. Ends with `release`, which removes the
/// folder; a process that dies without it leaves the folder to the next claim or listing, which sees the free lock.
public final class RuntimeClaim: Sendable {
  public let name: MachineName
  public let directory: RuntimeDirectory
  /// Where the control socket belongs.
  public var socket: String { directory.socket(of: name) }

  private struct Held: ~Copyable { var lock: LockFile? }
  private let held: Mutex<Held>

  /// The size of `sun_path`, less the terminating zero.
  static let maximumSocketPath = 107

  public init(_ name: MachineName, in directory: RuntimeDirectory = .standard()) throws(ControlError) {
    self.name = name
    self.directory = directory
    guard directory.socket(of: name).utf8.count <= Self.maximumSocketPath else {
      throw ControlError(
        .configuration,
        "the control socket \(directory.socket(of: name)) would have a path longer than \(Self.maximumSocketPath) bytes",
        remedy: "use a shorter name, or a shorter XDG_RUNTIME_DIR")
    }
    try directory.create()
    let lock = try Self.lock(name, in: directory)
    held = Mutex(Held(lock: lock))
    _ = unsafe unlink(directory.socket(of: name))
  }

  private static func lock(_ name: MachineName, in directory: RuntimeDirectory) throws(ControlError) -> LockFile {
    let path = directory.lock(of: name)
    // Each turn can only be lost to another process that removes leftovers at the same moment.
    for _ in 0..<100 {
      if unsafe mkdir(directory.folder(of: name), 0o700) != 0, errno != EEXIST {
        throw ControlError(.hostFailure, "cannot create \(directory.folder(of: name)): \(errorText(errno))")
      }
      guard let lock = LockFile(creating: path) else {
        if errno == ENOENT { continue }
        throw ControlError(.hostFailure, "cannot create \(path): \(errorText(errno))")
      }
      guard lock.tryLock() || lock.tryLockPatiently() else {
        throw ControlError(
          .alreadyRunning, "a machine named \(name) is running already",
          remedy: "choose another name, or stop it with `lis vm stop \(name)`")
      }
      if lock.isStillAt(path) { return lock }
    }
    throw ControlError(.hostFailure, "cannot lock \(path): other processes keep removing it")
  }

  /// Removes the folder and gives the name free. A second call does nothing.
  public func release() {
    held.withLock { held in
      guard held.lock != nil else { return }
      directory.removeLeftovers(of: name)
      held.lock = nil
    }
  }

  deinit { release() }
}
