// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@Suite struct HeartbeatMessageTests {
  @Test func golden() throws {
    let golden = body(Golden.heartbeat.bytes)
    let message = try HeartbeatMessage(decoding: golden.wire)
    #expect(message.sequence == 0x1122_3344_5566_7788)
    let written1 = try bytes(HeartbeatMessage.bodySize) { try message.encode(into: &$0) }
    #expect(written1 == golden)
    // The reserved part need not be there.
    cut(golden, needed: 8) { try HeartbeatMessage(decoding: $0) }
  }
}

@Suite struct ShutdownMessageTests {
  @Test func golden() throws {
    let golden = body(Golden.shutdown.bytes)
    #expect(golden.count == ShutdownMessage.bodySize)
    let message = try ShutdownMessage(decoding: golden.wire)
    #expect(message.reason == .planned)
    #expect(message.timeoutSeconds == 180)
    #expect(message.flags == .restart.forced)
    #expect(message.flags.action == .restart)
    #expect(message.flags.isForced)
    let written = try bytes(ShutdownMessage.bodySize) {
      try message.encode(into: &$0)
      for (index, unit) in "Maintenance".utf16.enumerated() {
        try $0.write(unit, at: ShutdownMessage.textOffset + 2 * index)
      }
    }
    #expect(written == golden)
    cut(golden, needed: ShutdownMessage.bodySize) { try ShutdownMessage(decoding: $0) }
  }
}

@Suite struct TimeMessageTests {
  @Test func goldenOfVersion4() throws {
    let golden = body(Golden.time4.bytes)
    let message = try ReferenceTimeMessage(decoding: golden.wire)
    #expect(
      message
        == ReferenceTimeMessage(
          hostTime: 0x01db_3c5a_1234_5678, referenceTime: 0x1_2345_6789, flags: .synchronize))
    let written2 = try bytes(ReferenceTimeMessage.bodySize) { try message.encode(into: &$0) }
    #expect(written2 == golden)
    cut(golden, needed: ReferenceTimeMessage.bodySize) { try ReferenceTimeMessage(decoding: $0) }
  }

  @Test func goldenOfVersion3() throws {
    let golden = body(Golden.time3.bytes)
    let message = try TimeMessage(decoding: golden.wire)
    #expect(message == TimeMessage(hostTime: 0x01db_3c5a_1234_5678, flags: .sample))
    let written3 = try bytes(TimeMessage.bodySize) { try message.encode(into: &$0) }
    #expect(written3 == golden)
    cut(golden, needed: TimeMessage.bodySize) { try TimeMessage(decoding: $0) }
  }
}
