// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import VMBus

/// The guest's end of file copy: a host that mostly sends the next step of a copy. Held against a model of the file:
/// fragments follow each other, stay within the announced size, and only a whole file is completed.
enum FileCopyClientTarget {
  static func run(_ script: inout Script) {
    var client = FileCopyClient()
    client.channelOpened()
    var kept: [UInt8] = []
    var announced: UInt64 = 0
    var written: UInt64 = 0
    while !script.isEmpty {
      if script.oneIn(64) { client.channelOpened() }
      if let request = client.request, !script.oneIn(8) {
        let succeeds = !script.oneIn(8)
        switch request {
        case .start(let name, let folder, _, let size):
          precondition(name + 520 <= kept.count && folder + 520 <= kept.count, "texts outside the packet")
          if succeeds { (announced, written) = (size, 0) }
        case .write(let offset, let count, let data):
          precondition(data + count <= kept.count, "data outside the packet")
          precondition(offset == written && UInt64(count) <= announced - written, "a fragment out of its place")
          if succeeds { written += UInt64(count) }
        case .complete: precondition(written == announced, "a part of a file is completed")
        case .cancel: break
        }
        forDaemon(request, kept)
        ClientTargets.exchange(kept) { (bytes: inout MutableRawSpan) throws(ClientFault) in
          try client.answer(succeeds ? .ok : .failure, in: &bytes)
          return .send
        }
        continue
      }
      let packet = step(&script, announced, written, isCopying: client.isCopying)
      let waited = client.request != nil
      ClientTargets.exchange(packet) { (bytes: inout MutableRawSpan) throws(ClientFault) in try client.receive(&bytes) }
      if client.request != nil, !waited { kept = packet }
    }
  }

  /// What is accepted has a form for the daemon, unless its name is too long for it; names end within their fields.
  private static func forDaemon(_ request: FileCopyClient.Request, _ packet: [UInt8]) {
    var message = [UInt8](repeating: 0xAA, count: FileCopyDaemonMessage.byteCount)
    do throws(WireError) {
      var span = message.mutableSpan
      var output = unsafe span.mutableBytes
      let size = unsafe try FileCopyDaemonMessage.encode(request, from: packet.span.bytes, into: &output)
      precondition(size <= message.count)
    } catch {
      guard case .start = request else { preconditionFailure("a step that was accepted is nothing for the daemon") }
      return
    }
    if case .start = request { precondition(message[555] == 0 && message[1075] == 0, "names without an end") }
  }

  static func step(_ script: inout Script, _ announced: UInt64, _ written: UInt64, isCopying: Bool) -> [UInt8] {
    var operation = UInt32(isCopying ? (written == announced ? 2 : 1) : 0)
    if script.oneIn(6) { operation = UInt32(script.choice(5)) }
    return ClientTargets.packet(&script, .fileCopy, bodySize: operation == 1 ? 6196 : operation == 0 ? 1088 : 36) {
      script, body in
      body.add(script.mostly(operation))
      body.pad(to: 36)
      if operation == 0 {
        body.add(name(&script))
        body.pad(to: 556)
        body.add([0x2F, 0])
        body.add(name(&script))
        body.pad(to: 1076)
        body.add(script.mostly(UInt32(3)))
        body.add(script.mostly(UInt64(script.choice(4) * 3000)))
      } else if operation == 1 {
        body.add(UInt32(0))
        body.add(script.mostly(written))
        body.add(script.mostly(UInt32(min(announced &- written, 3000))))
      }
    }
  }

  /// UTF-16 with what is special in paths.
  static func name(_ script: inout Script) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<1 + script.choice(12) {
      let special: [UInt8] = [0x61, 0x62, 0x2E, 0x2E, 0x2F, 0x00, 0x20, 0x7E]
      bytes += script.oneIn(3) ? [special[script.choice(8)], 0] : [UInt8(0x61 + script.choice(26)), 0]
    }
    return bytes
  }
}
