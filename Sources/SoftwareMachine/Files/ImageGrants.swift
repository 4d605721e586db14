// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization
public import VirtualDisks

/// Which image files of this machine the inner end may have: those that the user named, in the configuration or with a
/// request to the control API, and their parents.
///
/// A grant is for one opening. The outer end does it itself, with the checks of `ImageChain`: so the inner end never
/// makes it open a path, and what a disk's header says of its parent only counts where it leads to an image that fits.
public final class ImageGrants: Sendable {
  private struct Grant: Sendable {
    let path: String
    let options: ImageChain.Options
    /// Open already; nil: to be opened when it is asked for.
    var record: ChainRecorder.Record?
  }

  /// More than a machine has disks; the oldest of those that nobody asked for are forgotten.
  private static let limit = 512

  private let grants = Mutex<[Grant]>([])

  public init() {}

  /// A disk of the configuration: it is opened, and locked, now.
  public func open(_ path: String, _ options: ImageChain.Options) throws(ImageError) {
    let record = try ChainRecorder.open(path, options)
    add(Grant(path: path, options: options, record: record))
  }

  /// A disk that somebody wants to add: opened when the inner end asks for it.
  public func allow(_ path: String, _ options: ImageChain.Options) {
    add(Grant(path: path, options: options, record: nil))
  }

  private func add(_ grant: Grant) {
    grants.withLock { grants in
      if grants.count >= Self.limit, let old = grants.firstIndex(where: { $0.record == nil }) { grants.remove(at: old) }
      grants.append(grant)
    }
  }

  /// Uses a grant up. Blocks on the files.
  func take(_ path: String) throws(ImageError) -> ChainRecorder.Record {
    let grant = grants.withLock { grants in
      grants.firstIndex { $0.path == path }.map { grants.remove(at: $0) }
    }
    guard let grant else {
      throw ImageError(
        StoreError(name: path, operation: .open, reason: .system(errno: EACCES)),
        structure: "nobody outside the software machine named it")
    }
    if let record = grant.record { return record }
    return try ChainRecorder.open(path, grant.options)
  }
}
