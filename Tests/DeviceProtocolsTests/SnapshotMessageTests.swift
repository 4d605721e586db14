// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@Suite struct SnapshotMessageTests {
  @Test func golden() throws {
    let golden = body(Golden.vss.bytes)
    let message = try SnapshotMessage(decoding: golden.wire)
    #expect(message == SnapshotMessage(operation: .freeze, flags: SnapshotMessage.supportedWithoutAutoRecovery))
    let written = try bytes(SnapshotMessage.bodySize) { try message.encode(into: &$0) }
    #expect(written == golden)
    cut(golden, needed: SnapshotMessage.bodySize) { try SnapshotMessage(decoding: $0) }
  }
}
