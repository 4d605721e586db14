// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import Synchronization
import VirtualDisks

/// The outer end of the file link: carries out the inner end's requests on image files.
///
/// Threads: one reads requests; each request runs on a thread of the pool, where it may block as long as the file does.
/// There are never more requests, and so threads, than slots. A request that the inner end could not have meant ends
/// the link, and with it the machine.
final class FileServer: Sendable {
  private struct State: Sendable {
    var busy = Set<UInt16>()
    var files: [UInt32: any ByteStore] = [:]
    var nextNumber: UInt32 = 1
    var failure: FileLinkError?
  }

  /// All chains of all disks.
  private static let fileLimit = 1024

  /// Readable when the inner end has misbehaved: `failure` says how.
  let failed: EventDescriptor
  private let port: Descriptor
  private let window: DataWindow
  private let grants: ImageGrants
  /// Room for the reader and for all slots: no request waits for another.
  private let pool = WorkerPool(name: "image", limit: DataWindow.slotCount + 1)
  private let state = Mutex(State())
  private let sending = Mutex(())

  /// `port`: a connected stream socket. The server reads it until `stop`.
  init(port: consuming Descriptor, window: DataWindow, grants: ImageGrants) throws(SystemError) {
    failed = try EventDescriptor()
    self.port = port
    self.window = window
    self.grants = grants
    pool.run { [self] in serve() }
  }

  var failure: FileLinkError? { state.withLock(\.failure) }

  /// Ends the link, waits for what is being done, and closes all files.
  func stop() {
    shutdown(port.number, Int32(SHUT_RDWR))
    pool.finish()
    state.withLock { $0.files = [:] }
  }

  private func serve() {
    // Who stops asking gets no answers: both ends see the same end.
    defer { shutdown(port.number, Int32(SHUT_RDWR)) }
    var bytes: [UInt8] = []
    while Stream.readMore(port.number, into: &bytes, limit: FileRequest.wireSize * DataWindow.slotCount) {
      var rest = bytes[...]
      do throws(FileLinkError) {
        while let request = try FileRequest(takingFrom: &rest) {
          guard state.withLock({ $0.busy.insert(request.slot).inserted }) else { throw .slotMisused(request.slot) }
          pool.run { [self] in carryOut(request) }
        }
      } catch {
        state.withLock { $0.failure = error }
        failed.signal()
        return
      }
      bytes = Array(rest)
    }
  }

  private func carryOut(_ request: FileRequest) {
    let content: FileAnswer.Content
    do throws(StoreError) {
      content = try answer(request)
    } catch {
      content = .storeError(error.operation, error.reason, offset: error.offset)
    }
    var bytes: [UInt8] = []
    FileAnswer(slot: request.slot, content).encode(into: &bytes)
    // The slot is the inner end's again as soon as the answer is on its way.
    _ = state.withLock { $0.busy.remove(request.slot) }
    // No answer is ever long enough to fill the socket: at most one per slot is on its way. One that cannot be sent
    // has nobody who waits for it.
    sending.withLock { _ in try? Stream.writeAll(port.number, bytes) }
  }

  private func answer(_ request: FileRequest) throws(StoreError) -> FileAnswer.Content {
    if request.operation == .chain { return openChain(request) }
    if request.operation == .close {
      // Outside the lock: the last reference closes the file.
      let file = state.withLock { $0.files.removeValue(forKey: request.file) }
      return .value(file == nil ? 0 : 1)
    }
    guard let file = state.withLock({ $0.files[request.file] }) else {
      throw StoreError(name: "", operation: .open, reason: .system(errno: EBADF))
    }
    switch request.operation {
    case .read: try unsafe file.read(at: request.offset, into: window.slot(request.slot, Int(request.count)))
    case .write:
      try unsafe file.write(
        at: request.offset, from: UnsafeRawBufferPointer(window.slot(request.slot, Int(request.count))))
    case .flush: try file.flush()
    case .size: return .value(try file.byteCount())
    case .resize: try file.setByteCount(request.offset)
    case .deallocate: try file.deallocate(at: request.offset, count: request.count)
    default: break
    }
    return .value(0)
  }

  private func openChain(_ request: FileRequest) -> FileAnswer.Content {
    // Copied once, then looked at: the inner end can write to the slot all the time.
    let bytes = window.bytes(request.slot, Int(request.count))
    let path = String(decoding: bytes, as: UTF8.self)
    do throws(ImageError) {
      let grant = try register(grants.take(path), path)
      let encoded = grant.encoded()
      window.put(encoded, in: request.slot)
      return .value(UInt64(encoded.count))
    } catch {
      var encoded = ImageErrorCode.encode(error)
      if encoded.count > DataWindow.slotSize {
        encoded = ImageErrorCode.encode(ImageError(file: "", structure: "", .invalid("an error too long to tell")))
      }
      window.put(encoded, in: request.slot)
      return .imageError(count: UInt64(encoded.count))
    }
  }

  /// Gives numbers to a chain's files.
  private func register(_ record: ChainRecorder.Record, _ path: String) throws(ImageError) -> ChainGrant {
    try state.withLock { state throws(ImageError) in
      guard state.files.count + record.opened.count <= Self.fileLimit else {
        throw ImageError(StoreError(name: path, operation: .open, reason: .system(errno: EMFILE)))
      }
      var grant = ChainGrant(found: record.found)
      for (index, file) in record.opened.enumerated() {
        grant.files.append(
          ChainGrant.File(path: file.path, mode: file.mode, number: state.nextNumber &+ UInt32(index)))
      }
      guard grant.encoded().count <= DataWindow.slotSize else {
        throw ImageError(file: path, structure: "", .invalid("the paths of its chain are too long"))
      }
      for file in record.opened {
        state.files[state.nextNumber] = file.store
        state.nextNumber &+= 1
      }
      return grant
    }
  }
}
