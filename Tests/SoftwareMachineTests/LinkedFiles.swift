// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import TestSupport
import Testing

@testable import SoftwareMachine
@testable import VirtualDisks

/// Both ends of the file link and a folder for files, removed at the end.
final class LinkedFiles: Sendable {
  private let scratch: TemporaryFolder
  var folder: String { scratch.path }
  let grants = ImageGrants()
  let server: FileServer
  let link: FileLink
  let opener: RemoteStoreOpener

  init() throws {
    scratch = try TemporaryFolder()
    let ports = try Descriptor.socketPair()
    let memory = try DataWindow.memory()
    server = try FileServer(port: ports.first, window: DataWindow(memory.number), grants: grants)
    let link = FileLink(port: ports.second, window: try DataWindow(memory.number))
    self.link = link
    opener = RemoteStoreOpener { () throws(SystemError) in link }
  }

  /// Ends both. Stores must be gone or idle.
  func stop() {
    server.stop()
    link.stop()
  }

  func file(_ name: String, size: Int) -> String {
    let path = "\(folder)/\(name)"
    let file = unsafe Glibc.open(path, O_CREAT | O_RDWR, 0o600)
    #expect(ftruncate(file, off_t(size)) == 0)
    close(file)
    return path
  }

  /// A raw file's store, by way of a chain.
  func open(_ path: String, writable: Bool = true) throws -> any ByteStore {
    var options = ImageChain.Options()
    options.format = .raw
    options.isWritable = writable
    grants.allow(path, options)
    let files = try opener.prepared(for: path, options)
    return try files.open(path, writable ? .readWrite : .readOnly, nil)
  }

  func makeChain(parent: String, child: String) throws {
    try ImageCreation(path: parent, byteCount: 8 << 20).perform()
    var options = ImageChain.Options()
    options.isWritable = true
    do {
      let image = try ImageChain.open(parent, options).image
      let bytes = [UInt8](repeating: 0x5A, count: 512)
      try unsafe bytes.withUnsafeBytes { try unsafe image.write(at: 0, from: $0) }
      try image.close()
    }
    var creation = ImageCreation(path: child)
    creation.parentPath = parent
    try creation.perform()
  }
}
