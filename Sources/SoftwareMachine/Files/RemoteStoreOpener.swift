// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import Synchronization
public import VirtualDisks

/// Opens the outer machine's image files from inside the software machine: the outer end opens the whole chain, with its
/// locks and checks, and this end gets the files by number.
public final class RemoteStoreOpener: StoreOpener {
  private let connect: @Sendable () throws(SystemError) -> FileLink
  private let link = Mutex<FileLink?>(nil)

  /// `connect` is called when the first chain is opened.
  init(connect: @escaping @Sendable () throws(SystemError) -> FileLink) { self.connect = connect }

  public func prepared(for path: String, _ options: ImageChain.Options) throws(ImageError) -> any StoreOpener {
    let link: FileLink
    do throws(SystemError) {
      link = try self.link.withLock { link throws(SystemError) in
        if let link { return link }
        let made = try connect()
        link = made
        return made
      }
    } catch {
      throw ImageError(StoreError(name: path, operation: .open, reason: .system(errno: error.error)))
    }
    return GrantedChain(link, try Self.ask(link, path))
  }

  private static func ask(_ link: FileLink, _ path: String) throws(ImageError) -> ChainGrant {
    let gone = ImageError(StoreError(name: path, operation: .open, reason: FileLink.gone))
    let slot = link.takeSlot()
    defer { link.giveBack(slot) }
    let bytes = Array(path.utf8)
    guard bytes.count <= DataWindow.slotSize else {
      throw ImageError(StoreError(name: path, operation: .open, reason: .system(errno: ENAMETOOLONG)))
    }
    link.window.put(bytes, in: slot)
    link.send([FileRequest(slot: slot, .chain, count: UInt64(bytes.count))])
    switch link.wait(for: slot) {
    case .value(let count):
      guard count <= DataWindow.slotSize, let grant = ChainGrant(decoding: link.window.bytes(slot, Int(count))) else {
        throw gone
      }
      return grant
    case .imageError(let count): throw ImageErrorCode.decode(link.window.bytes(slot, Int(count))) ?? gone
    case .storeError, nil: throw gone
    }
  }

  // MARK: - Before a chain is prepared there is nothing

  public func open(
    _ path: String, _ mode: FileStore.Mode, _ lock: FileStore.Lock?
  ) throws(StoreError) -> any ByteStore {
    throw StoreError(name: path, operation: .open, reason: .system(errno: EACCES))
  }

  public func find(_ path: String) -> FoundFile? { nil }

  public func holder(of path: String) -> String? { nil }
}

/// The files of one opening of a chain. What is not used is closed with it.
private final class GrantedChain: StoreOpener {
  private let found: [String: FoundFile]
  private let stores: Mutex<[(file: ChainGrant.File, store: RemoteStore)]>

  init(_ link: FileLink, _ grant: ChainGrant) {
    found = grant.found
    stores = Mutex(
      grant.files.map { file in
        (file, RemoteStore(link, number: file.number, name: file.path, isReadOnly: file.mode == .readOnly))
      })
  }

  func prepared(for path: String, _ options: ImageChain.Options) throws(ImageError) -> any StoreOpener { self }

  func open(_ path: String, _ mode: FileStore.Mode, _ lock: FileStore.Lock?) throws(StoreError) -> any ByteStore {
    let store = stores.withLock { stores in
      stores.firstIndex { $0.file.path == path && $0.file.mode == mode }.map { stores.remove(at: $0).store }
    }
    guard let store else { throw StoreError(name: path, operation: .open, reason: .system(errno: EACCES)) }
    return store
  }

  func find(_ path: String) -> FoundFile? { found[path] }

  func holder(of path: String) -> String? { nil }
}
