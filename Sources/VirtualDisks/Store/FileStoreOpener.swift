// SPDX-License-Identifier: Apache-2.0

/// This machine's own files.
public struct FileStoreOpener: StoreOpener {
  public init() {}

  public func prepared(for path: String, _ options: ImageChain.Options) throws(ImageError) -> any StoreOpener { self }

  public func open(
    _ path: String, _ mode: FileStore.Mode, _ lock: FileStore.Lock?
  ) throws(StoreError) -> any ByteStore {
    try FileStore(path: path, mode: mode, lock: lock)
  }

  public func find(_ path: String) -> FoundFile? {
    guard let resolved = FileIdentity.resolved(path), let identity = FileIdentity(resolved) else { return nil }
    return FoundFile(resolved: resolved, identity: identity)
  }

  public func holder(of path: String) -> String? { FileHolder.of(path) }
}
