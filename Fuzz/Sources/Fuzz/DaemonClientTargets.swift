// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import VMBus

// The guest's services that hand a request to a daemon and answer later; their hosts are `ClientTargets`'.

extension ClientTargets {
  /// A string as UTF-16 of `units`, zero-filled; now and then any bytes.
  private static func utf16(_ script: inout Script, units: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    if script.oneIn(4) {
      bytes = script.take(script.choice(256))
    } else {
      for byte in script.take(script.choice(32)) { bytes += [byte, 0] }
    }
    return Array(bytes.prefix(units * 2)) + [UInt8](repeating: 0, count: max(0, units * 2 - bytes.count))
  }

  static func keyValuePair(_ script: inout Script) {
    var client = KeyValuePairClient()
    client.channelOpened()
    var kept: [UInt8] = []
    while !script.isEmpty {
      if script.oneIn(64) {
        client.channelOpened()
        kept = []
      }
      if client.request != nil, !script.oneIn(8) {
        answer(&script, &client, &kept)
        continue
      }
      let operation = UInt8(script.choice(7))
      let size = KeyValueMessage.bodySize(of: KeyValueOperation(rawValue: operation)) ?? 64
      var packet = packet(&script, .keyValuePair, bodySize: size) { script, body in
        body.add(script.mostly(operation))
        body.add(script.mostly(UInt8(script.choice(5))))
        switch operation {
        case 0, 1, 3:
          body.add(UInt16(0))
          if operation == 3 { body.add(script.mostly(UInt32(script.choice(16)))) }
          body.add(script.mostly([UInt32(1), 4, 8][script.choice(3)]))
          body.add(script.mostly(UInt32(2 * script.choice(20))))
          body.add(script.mostly([UInt32(4), 8, 20][script.choice(3)]))
          body.add(utf16(&script, units: 256))
          body.add(utf16(&script, units: 64))
        case 2:
          body.add(UInt16(0))
          body.add(script.mostly(UInt32(2 * script.choice(20))))
          body.add(utf16(&script, units: 256))
        default:
          body.add(utf16(&script, units: 128))
          body.add(script.byte())
          body.add(script.byte())
          body.add(utf16(&script, units: 64))
        }
      }
      exchange(packet) { (bytes: inout MutableRawSpan) throws(ClientFault) in
        let answer = try client.receive(&bytes)
        return answer
      }
      if client.request != nil, kept.isEmpty { swap(&kept, &packet) }
    }
  }

  /// The daemon's part: reads the texts, writes an answer into the packet that was kept.
  private static func answer(_ script: inout Script, _ client: inout KeyValuePairClient, _ packet: inout [UInt8]) {
    guard let request = client.request else { return }
    let before = packet.count
    var text = [UInt8](repeating: 0, count: script.choice(256) * 8)
    do throws(WireError) {
      var span = text.mutableSpan
      var output = unsafe span.mutableBytes
      let key = unsafe try WireText.utf8(
        from: packet.span.bytes, at: request.keyOffset, byteCount: request.keySize, into: &output)
      precondition(key <= output.byteCount)
      let value = unsafe try WireText.utf8(
        from: packet.span.bytes, at: request.valueOffset, byteCount: request.valueSize, into: &output)
      precondition(value <= output.byteCount)
    } catch {
      preconditionFailure("a request that was accepted lies outside its packet: \(error)")
    }
    var message = [UInt8](repeating: 0xAA, count: KeyValueDaemonMessage.byteCount)
    do throws(WireError) {
      var span = message.mutableSpan
      var output = unsafe span.mutableBytes
      unsafe try KeyValueDaemonMessage.encode(request, from: packet.span.bytes, into: &output)
    } catch {
      preconditionFailure("a request that was accepted is nothing for the daemon: \(error)")
    }
    if request.operation == .set {
      precondition(message[527] == 0 && message[2575] == 0, "texts without an end")
    }
    for _ in 0..<script.choice(8) { message[Int(script.word16()) % message.count] = script.byte() }
    if !script.oneIn(4) { message.replaceSubrange(0..<4, with: [0, 0, 0, 0]) }
    let key = script.take(script.choice(256))
    let value = script.take(script.choice(256))
    let how = script.choice(5)
    do throws(ClientFault) {
      var span = packet.mutableSpan
      var bytes = unsafe span.mutableBytes
      switch how {
      case 0: try client.answer(script.oneIn(2) ? .ok : .failure, in: &bytes)
      case 4:
        unsafe try KeyValueDaemonMessage.answer(
          message.span.bytes, registered: script.oneIn(4) ? 4 : 100, by: &client, in: &bytes)
      case 1: unsafe try client.write(key.span.bytes, to: AdapterAddressRecord.addresses, in: &bytes)
      default: unsafe try client.answer(key: key.span.bytes, value: value.span.bytes, in: &bytes)
      }
    } catch {}
    precondition(packet.count == before)
    if client.request == nil { packet = [] }
  }

  static func volumeSnapshot(_ script: inout Script) {
    var client = VolumeSnapshotClient()
    client.channelOpened()
    var kept: [UInt8] = []
    while !script.isEmpty {
      if script.oneIn(64) { client.channelOpened() }
      if client.operation != nil, !script.oneIn(8) {
        exchange(kept) { (bytes: inout MutableRawSpan) throws(ClientFault) in
          try client.answer(script.oneIn(4) ? .failure : .ok, in: &bytes)
          return .send
        }
        continue
      }
      let packet = packet(&script, .volumeSnapshot, bodySize: 12) { script, body in
        body.add(script.mostly(UInt8(script.choice(9))))
        body.pad(to: 8)
        body.add(script.mostly(UInt32(0)))
      }
      let waited = client.operation != nil
      exchange(packet) { (bytes: inout MutableRawSpan) throws(ClientFault) in try client.receive(&bytes) }
      if client.operation != nil, !waited { kept = packet }
    }
  }
}
