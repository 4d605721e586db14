// SPDX-License-Identifier: Apache-2.0

/// Where the files of a chain of images come from: this machine's file system, or another machine's through a link.
/// Blocking; any thread.
public protocol StoreOpener: Sendable {
  /// The opener for one opening of the chain that begins at `path`. Where somebody else decides which files may be
  /// opened, this asks, with everything that may be wrong with the chain as the error.
  func prepared(for path: String, _ options: ImageChain.Options) throws(ImageError) -> any StoreOpener
  /// `lock`: nil for what `FileStore` takes by itself.
  func open(_ path: String, _ mode: FileStore.Mode, _ lock: FileStore.Lock?) throws(StoreError) -> any ByteStore
  /// nil when there is nothing.
  func find(_ path: String) -> FoundFile?
  /// Who has a file open that is in use, for people.
  func holder(of path: String) -> String?
}

/// What lies at a path.
public struct FoundFile: Equatable, Sendable {
  /// The path without links, `.` and `..`.
  public var resolved: String
  public var identity: FileIdentity

  public init(resolved: String, identity: FileIdentity) {
    self.resolved = resolved
    self.identity = identity
  }
}
