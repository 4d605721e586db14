// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@Suite struct IntegrationServicesTests {
  /// HV_*_GUID of include/linux/hyperv.h, Linux 6.1: the text's first three fields and its last eight bytes. A wrong
  /// digit shows in the guest only as "Unknown GUID".
  @Test(
    arguments: [
      (IntegrationService.heartbeat, 0x57164f39, 0x9115, 0x4e78, [0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d]),
      (.shutdown, 0x0e0b6031, 0x5213, 0x4934, [0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb]),
      (.timeSynchronization, 0x9527e630, 0xd0ae, 0x497b, [0xad, 0xce, 0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf]),
      (.keyValuePair, 0xa9a0f4e7, 0x5a45, 0x4d96, [0xb8, 0x27, 0x8a, 0x84, 0x1e, 0x8c, 0x03, 0xe6]),
      (.volumeSnapshot, 0x35fa2e29, 0xea23, 0x4236, [0x96, 0xae, 0x3a, 0x6e, 0xba, 0xcb, 0xa4, 0x40]),
      (.fileCopy, 0x34d14be3, 0xdee4, 0x41c8, [0x9a, 0xe7, 0x6b, 0x17, 0x49, 0x77, 0xc1, 0x92]),
    ] as [(IntegrationService, UInt32, UInt16, UInt16, [UInt8])])
  func classIDsAreThoseOfLinux(
    _ service: IntegrationService, _ a: UInt32, _ b: UInt16, _ c: UInt16, _ tail: [UInt8]
  ) {
    #expect(service.classID.low == UInt64(a) | UInt64(b) << 32 | UInt64(c) << 48)
    #expect(service.classID.high == tail.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
  }

  @Test func headerOfNegotiation() throws {
    let golden = Golden.negotiateShutdown.bytes
    let header = try IntegrationHeader(decoding: golden.wire)
    #expect(header.pipeSize == 52)
    #expect(header.framework == ServiceVersion(3, 0))
    #expect(header.type == .negotiate)
    #expect(header.message == ServiceVersion(3, 2))
    #expect(header.bodySize == 32)
    #expect(header.status == .ok)
    #expect(header.transaction == 1)
    #expect(header.flags == .transaction.union(.request))
    let written1 = try bytes(28) { try header.encode(into: &$0) }
    #expect(written1 == Array(golden.prefix(28)))
  }

  @Test func negotiationListsAreThoseOfLinux() throws {
    let service = IntegrationService.shutdown
    let message = NegotiationMessage(frameworks: service.frameworkVersions, messages: service.messageVersions)
    #expect(message.bodySize == 32)
    let written2 = try bytes(32) { try message.encode(into: &$0) }
    #expect(written2 == body(Golden.negotiateShutdown.bytes))
  }

  @Test func negotiationAnswerOfLinux() throws {
    let golden = Golden.negotiatedShutdown.bytes
    let header = try IntegrationHeader(decoding: golden.wire)
    #expect(header.bodySize == 16, "Linux writes 16 and leaves the pipe size alone")
    #expect(header.pipeSize == 52)
    let answer = try NegotiationMessage.answer(decoding: body(golden).wire)
    #expect(answer == .chosen(framework: ServiceVersion(3, 0), message: ServiceVersion(3, 2)))
  }

  @Test func answerRoundTrip() throws {
    let chosen = NegotiationMessage.Answer.chosen(framework: ServiceVersion(1, 0), message: ServiceVersion(0xFFFF, 7))
    let written = try bytes(16) { try NegotiationMessage.encode(chosen, into: &$0, at: 0) }
    #expect(try NegotiationMessage.answer(decoding: written.wire) == chosen)
    let none = try bytes(16) { try NegotiationMessage.encode(.none, into: &$0, at: 0) }
    #expect(try NegotiationMessage.answer(decoding: none.wire) == .none)
  }

  @Test(arguments: [(0, 1), (1, 0), (2, 1), (1, 2), (100, 1), (65535, 65535)] as [(UInt16, UInt16)])
  func answerWithOddCountsIsRefused(frameworks: UInt16, messages: UInt16) throws {
    let wrong = try bytes(16) {
      try $0.write(frameworks, at: 0)
      try $0.write(messages, at: 2)
    }
    #expect(throws: WireError.self) { try NegotiationMessage.answer(decoding: wrong.wire) }
  }

  @Test func headersCutShort() {
    cut(Golden.heartbeat.bytes, needed: Golden.heartbeat.size) { try IntegrationHeader(decoding: $0) }
    cut(body(Golden.negotiatedShutdown.bytes), needed: 16) { try NegotiationMessage.answer(decoding: $0) }
  }

  @Test func lengthFieldsBeyondThePacketAreRefused() throws {
    for pipeSize in [0, 19, 61, 0x7FFF_FFFF, 0xFFFF_FFFF] as [UInt32] {
      var packet = Golden.heartbeat.bytes
      packet.replaceSubrange(4..<8, with: try bytes(4) { try $0.write(pipeSize, at: 0) })
      #expect(throws: WireError.self, "pipe size \(pipeSize)") { try IntegrationHeader(decoding: packet.wire) }
    }
    for bodySize in [41, 0xFFFF] as [UInt16] {
      var packet = Golden.heartbeat.bytes
      packet.replaceSubrange(18..<20, with: try bytes(2) { try $0.write(bodySize, at: 0) })
      #expect(throws: WireError.self, "body size \(bodySize)") { try IntegrationHeader(decoding: packet.wire) }
    }
    var packet = Golden.heartbeat.bytes
    packet[0] = 2
    #expect(throws: WireError.invalid(offset: 0)) { try IntegrationHeader(decoding: packet.wire) }
  }

  @Test func paddingAfterTheMessageIsAccepted() throws {
    let packet = Golden.time4.bytes + [0, 0, 0, 0, 0, 0]
    #expect(try IntegrationHeader(decoding: packet.wire).bodySize == 22)
  }

  @Test func guestChoosesItsBestVersions() throws {
    let service = IntegrationService.keyValuePair
    // The host's lists in another order, with versions nobody knows.
    let offered = NegotiationMessage(
      frameworks: ServiceVersionList(ServiceVersion(1, 0), ServiceVersion(9, 9), ServiceVersion(3, 0)),
      messages: ServiceVersionList(ServiceVersion(5, 0), ServiceVersion(1, 0), ServiceVersion(3, 0)))
    let list = try bytes(offered.bodySize) { try offered.encode(into: &$0) }
    let answer = try NegotiationMessage.choose(
      from: list.wire, frameworks: service.frameworkVersions, messages: service.messageVersions)
    #expect(answer == .chosen(framework: ServiceVersion(3, 0), message: ServiceVersion(3, 0)))
    cut(list, needed: list.count) {
      try NegotiationMessage.choose(
        from: $0, frameworks: service.frameworkVersions, messages: service.messageVersions)
    }
  }

  @Test(arguments: [101, 65535] as [UInt16]) func countsOverLinuxLimitAreRefused(count: UInt16) throws {
    let list = try bytes(16 + 4 * 101) {
      try $0.write(UInt16(1), at: 0)
      try $0.write(count, at: 2)
    }
    let versions = ServiceVersionList(ServiceVersion(3, 0))
    #expect(throws: WireError.invalid(offset: 2)) {
      try NegotiationMessage.choose(from: list.wire, frameworks: versions, messages: versions)
    }
  }

  @Test func versionsInTheTable() {
    // Each table of drivers/hv/hv_{util,kvp,snapshot,fcopy}.c, best first.
    let expected: [(IntegrationService, [ServiceVersion], [ServiceVersion])] = [
      (.heartbeat, [ServiceVersion(3, 0), ServiceVersion(1, 0)], [ServiceVersion(3, 0), ServiceVersion(1, 0)]),
      (
        .shutdown, [ServiceVersion(3, 0), ServiceVersion(1, 0)],
        [ServiceVersion(3, 2), ServiceVersion(3, 1), ServiceVersion(3, 0), ServiceVersion(1, 0)]
      ),
      (
        .timeSynchronization, [ServiceVersion(3, 0), ServiceVersion(1, 0)],
        [ServiceVersion(4, 0), ServiceVersion(3, 0), ServiceVersion(1, 0)]
      ),
      (
        .keyValuePair, [ServiceVersion(3, 0), ServiceVersion(1, 0)],
        [ServiceVersion(4, 0), ServiceVersion(3, 0), ServiceVersion(1, 0)]
      ),
      (.volumeSnapshot, [ServiceVersion(3, 0)], [ServiceVersion(5, 0)]),
      (.fileCopy, [ServiceVersion(3, 0)], [ServiceVersion(1, 1)]),
    ]
    for (service, frameworks, messages) in expected {
      #expect((0..<8).compactMap { service.frameworkVersions.version(at: $0) } == frameworks)
      #expect((0..<8).compactMap { service.messageVersions.version(at: $0) } == messages)
    }
  }

  @Test func versionListIsBounded() {
    var list = ServiceVersionList()
    for minor in 0..<8 as Range<UInt16> { list.append(ServiceVersion(1, minor)) }
    let taken = list.append(ServiceVersion(2, 0))
    #expect(!taken)
    #expect(list.count == 8)
    #expect(list.version(at: 8) == nil)
    #expect(list.version(at: -1) == nil)
  }
}
