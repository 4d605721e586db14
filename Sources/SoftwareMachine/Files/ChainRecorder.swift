// SPDX-License-Identifier: Apache-2.0

import Synchronization
import VirtualDisks

/// Opens a chain for the inner end: this machine's files, with a record of all that was looked at and opened.
final class ChainRecorder: StoreOpener {
  struct Opened: Sendable {
    var path: String
    var mode: FileStore.Mode
    var store: any ByteStore
  }

  struct Record: Sendable {
    var opened: [Opened] = []
    var found: [String: FoundFile] = [:]
  }

  private let files = FileStoreOpener()
  private let state = Mutex(Record())

  /// Opens the chain that begins at `path`, checks all of it and gives back its files. The images themselves are
  /// closed again: the inner end makes its own.
  static func open(_ path: String, _ options: ImageChain.Options) throws(ImageError) -> Record {
    let recorder = ChainRecorder()
    let chain = try ImageChain.open(path, options, opener: recorder)
    for layer in chain.layers { try layer.image.close() }
    return recorder.state.withLock { record in
      defer { record = Record() }
      return record
    }
  }

  func prepared(for path: String, _ options: ImageChain.Options) throws(ImageError) -> any StoreOpener { self }

  func open(_ path: String, _ mode: FileStore.Mode, _ lock: FileStore.Lock?) throws(StoreError) -> any ByteStore {
    let store = try files.open(path, mode, lock)
    state.withLock { $0.opened.append(Opened(path: path, mode: mode, store: store)) }
    return store
  }

  func find(_ path: String) -> FoundFile? {
    let found = files.find(path)
    if let found { state.withLock { $0.found[path] = found } }
    return found
  }

  func holder(of path: String) -> String? { files.holder(of: path) }
}
