// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import Testing
import VirtualDisks

@testable import SoftwareMachine

/// Each end of the file link against one that says what no program of ours does.
@Suite struct HostileFileLinkTests {
  private static func encoded(_ requests: FileRequest...) -> [UInt8] {
    var bytes: [UInt8] = []
    for request in requests { request.encode(into: &bytes) }
    return bytes
  }

  /// Sends bytes to a server and gives back its answers and what it thinks of us.
  private func ask(_ bytes: [UInt8], answers: Int = 0) throws -> (answers: [FileAnswer], failure: FileLinkError?) {
    let ports = try Descriptor.socketPair()
    let memory = try DataWindow.memory()
    let server = try FileServer(port: ports.first, window: DataWindow(memory.number), grants: ImageGrants())
    try Stream.writeAll(ports.second.number, bytes)
    if answers == 0 { shutdown(ports.second.number, Int32(SHUT_WR)) }
    var received: [UInt8] = []
    while received.count < max(1, answers) * FileAnswer.wireSize,
      case .bytes = Stream.read(ports.second.number, into: &received, limit: 4096)
    {}
    let failure = server.failure
    server.stop()
    var rest = received[...]
    var decoded: [FileAnswer] = []
    while let answer = try FileAnswer(takingFrom: &rest) { decoded.append(answer) }
    return (decoded, failure)
  }

  @Test func malformedRequestsEndTheLink() throws {
    let whole = Self.encoded(FileRequest(slot: 0, .size))
    var reserved = whole
    reserved[3] = 1
    for bytes in [
      reserved,
      Self.encoded(FileRequest(slot: UInt16(DataWindow.slotCount), .size)),
      Self.encoded(FileRequest(slot: .max, .read)),
      Self.encoded(FileRequest(slot: 0, FileOperation(rawValue: 0))),
      Self.encoded(FileRequest(slot: 0, FileOperation(rawValue: 9))),
      Self.encoded(FileRequest(slot: 0, .read, count: UInt64(DataWindow.slotSize) + 1)),
      Self.encoded(FileRequest(slot: 0, .write, count: .max)),
      Self.encoded(FileRequest(slot: 0, .chain, count: .max)),
    ] {
      let outcome = try ask(bytes)
      #expect(outcome.failure == .malformed)
      #expect(outcome.answers.isEmpty)
    }
  }

  /// What is well-formed and makes no sense is answered.
  @Test func filesThatAreNotThere() throws {
    let operations: [FileOperation] = [.read, .write, .flush, .size, .resize, .deallocate]
    var bytes: [UInt8] = []
    for (slot, operation) in operations.enumerated() {
      FileRequest(slot: UInt16(slot), operation, file: .max, offset: .max, count: UInt64(slot == 5 ? .max : slot))
        .encode(into: &bytes)
    }
    let outcome = try ask(bytes, answers: operations.count)
    #expect(outcome.failure == nil)
    #expect(Set(outcome.answers.map(\.slot)) == Set(0..<UInt16(operations.count)))
    for answer in outcome.answers {
      #expect(answer.content == .storeError(.open, .system(errno: EBADF), offset: nil))
    }
    #expect(try ask(Self.encoded(FileRequest(slot: 9, .close)), answers: 1).answers.map(\.content) == [.value(0)])
  }

  /// A slot that is in use is not used again, however fast the file is.
  @Test func aSlotTwiceAtOnce() throws {
    let ports = try Descriptor.socketPair()
    let memory = try DataWindow.memory()
    let server = try FileServer(port: ports.first, window: DataWindow(memory.number), grants: ImageGrants())
    // One write, so that both are read together; the first may be answered before the second is looked at.
    let requests = (0..<64).flatMap { _ in Self.encoded(FileRequest(slot: 3, .size)) }
    try? Stream.writeAll(ports.second.number, requests)
    var received: [UInt8] = []
    while received.count < 64 * FileAnswer.wireSize,
      case .bytes = Stream.read(ports.second.number, into: &received, limit: 4096)
    {}
    let failure = server.failure
    #expect(failure == .slotMisused(3) || received.count == 64 * FileAnswer.wireSize)
    server.stop()
  }

  @Test func halfARequestAndGone() throws {
    let outcome = try ask(Array(Self.encoded(FileRequest(slot: 0, .size)).prefix(11)))
    #expect(outcome.failure == nil)
    #expect(outcome.answers.isEmpty)
  }

  @Test func noiseNeverTraps() throws {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<50 {
      let noise = (0..<480).map { _ in UInt8.random(in: 0...9, using: &generator) }
      _ = try ask(noise)
      _ = ChainGrant(decoding: noise)
      _ = ImageErrorCode.decode(noise)
      var rest = noise[...]
      _ = try? FileAnswer(takingFrom: &rest)
    }
  }

  /// An outer end that answers what was not asked, or not in our words, is as good as gone.
  @Test func answersOutOfTurnEndTheLink() throws {
    var answer: [UInt8] = []
    FileAnswer(slot: 5, .value(0)).encode(into: &answer)
    var unknown: [UInt8] = []
    FileAnswer(slot: 63, .value(0)).encode(into: &unknown)
    unknown[2] = 7
    for bytes in [answer, unknown, [UInt8](repeating: 0xFF, count: 24)] {
      let ports = try Descriptor.socketPair()
      let memory = try DataWindow.memory()
      let link = FileLink(port: ports.first, window: try DataWindow(memory.number))
      try Stream.writeAll(ports.second.number, bytes)
      let store = RemoteStore(link, number: 1, name: "disk", isReadOnly: false)
      #expect(throws: StoreError(name: "disk", operation: .flush, reason: FileLink.gone, offset: 0)) {
        try store.flush()
      }
      link.stop()
    }
  }

  @Test func aGrantThatCannotBeReadIsAnError() throws {
    let ports = try Descriptor.socketPair()
    let memory = try DataWindow.memory()
    let window = try DataWindow(memory.number)
    let link = FileLink(port: ports.first, window: window)
    let opener = RemoteStoreOpener { () throws(SystemError) in link }
    let pool = WorkerPool(name: "answers", limit: 2)
    let port = ports.second.take()
    pool.run {
      for content in [
        FileAnswer.Content.value(.max), .value(7), .imageError(count: 3), .storeError(.open, .inUse, offset: 0),
      ] {
        var request: [UInt8] = []
        _ = Stream.read(port, into: &request, limit: FileRequest.wireSize)
        let slot = UInt16(request[0])
        window.put([9, 9, 9, 9, 9, 9, 9], in: slot)
        var bytes: [UInt8] = []
        FileAnswer(slot: slot, content).encode(into: &bytes)
        try? Stream.writeAll(port, bytes)
      }
    }
    for _ in 0..<4 { #expect(throws: ImageError.self) { try opener.prepared(for: "/x.vhd", ImageChain.Options()) } }
    pool.finish()
    link.stop()
    close(port)
  }

  @Test func grantsAndErrorsGoThroughUnchanged() {
    let file = FoundFile(resolved: "/ä/b", identity: FileIdentity(device: 1, inode: .max, modified: -5))
    let grant = ChainGrant(
      files: [.init(path: "/a/b", mode: .readWrite, number: 7), .init(path: "", mode: .readOnly, number: .max)],
      found: ["/a/../b": file])
    #expect(ChainGrant(decoding: grant.encoded()) == grant)
    let store = StoreError(name: "/x", operation: .deallocate, reason: .system(errno: EIO), offset: 9)
    for reason in [
      ImageError.Reason.store(store), .damaged("d"), .unsupported("u"), .invalid(""), .parent("p"), .readOnly,
      .poisoned,
      .closed,
    ] {
      for offset in [nil, 0, UInt64.max] {
        let error = ImageError(file: "/f", structure: "footer", offset: offset, reason)
        #expect(ImageErrorCode.decode(ImageErrorCode.encode(error)) == error)
      }
    }
  }
}
