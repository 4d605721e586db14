// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import NetworkWalk
import ServiceClients
import Testing
import VMBus

/// What a host may try on the guest's end: an error or a dropped message, and the next sound one is taken.
@Suite struct HostileNetworkHostTests {
  private static let buffers = NetworkClient.Buffers(
    receive: GPADLID(1), receiveByteCount: 1 << 20, send: GPADLID(2), sendByteCount: 1 << 18)

  /// The client's packets, and the page with its control messages.
  @safe private final class Shell {
    var client = NetworkClient(mtu: 1500, wantedSubChannels: 3, key: NetworkGuest.key)
    var page = [UInt8](repeating: 0, count: 4096)
    var last: UInt64 = 0

    init() { client.channelOpened(HostileNetworkHostTests.buffers) }

    func pump() {
      while true {
        var span = page.mutableSpan
        var raw = unsafe span.mutableBytes
        guard let packet = client.nextPacket(page: &raw) else { return }
        if packet.wantsCompletion { last = packet.transactionID }
      }
    }

    @discardableResult
    func answer(_ message: NVSPMessage) throws(NetworkClientFault) -> NetworkClient.Event? {
      pump()
      let bytes = ScriptedNetworkGuest.bytes(message)
      return try client.receive(completion: unsafe bytes.span.bytes, transactionID: last)
    }

    @discardableResult
    func finish(_ message: RNDISMessage, _ information: [UInt8] = []) throws(NetworkClientFault) -> NetworkClient.Event?
    {
      pump()
      let done: [UInt8] = [108, 0, 0, 0, 1, 0, 0, 0]
      _ = try client.receive(completion: unsafe done.span.bytes, transactionID: last)
      let bytes = ScriptedNetworkGuest.bytes(message, information)
      return try client.receive(control: unsafe bytes.span.bytes)
    }

    var requestID: UInt32 { page[8...11].reversed().reduce(0) { $0 << 8 | UInt32($1) } }

    /// As far as the buffers.
    func share() throws(NetworkClientFault) {
      try answer(.initializeComplete(version: 0x60001, chain: 0, .success))
      try answer(
        .receiveBufferComplete(.success, sections: 1, NVSPReceiveSection(byteCount: 1728, count: 606, end: 606 * 1728)))
      try answer(.sendBufferComplete(.success, sectionSize: 6144))
    }

    func word(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }

    func query(_ information: [UInt8], _ status: RNDISStatus = .success) throws(NetworkClientFault)
      -> NetworkClient.Event?
    {
      pump()
      return try finish(
        .queryComplete(id: requestID, status, information: .bytes(information.count)), information)
    }
  }

  @Test func noVersion() throws {
    let shell = Shell()
    for _ in 0..<5 {
      #expect(try shell.answer(.initializeComplete(version: 0, chain: 0, .versionTooNew)) == nil)
    }
    #expect(try shell.answer(.initializeComplete(version: 0, chain: 0, .versionTooNew)) == .failed(.noVersion))
  }

  @Test func receiveSectionsThatDoNotFit() throws {
    for (sections, offset, size, count) in [
      (0, 0, 1728, 10), (2, 0, 1728, 10), (1, 8, 1728, 10), (1, 0, 0, 10), (1, 0, 67, 10), (1, 0, 1728, 0),
      (1, 0, 1728, 607), (1, 0, .max, .max), (1, 0, 0x10000, 0x10000), (1, 0, 1 << 20, 2),
    ] as [(UInt32, UInt32, UInt32, UInt32)] {
      let shell = Shell()
      try shell.answer(.initializeComplete(version: 0x60001, chain: 0, .success))
      let section = NVSPReceiveSection(offset: offset, byteCount: size, count: count, end: 0)
      #expect(
        try shell.answer(.receiveBufferComplete(.success, sections: sections, section)) == .failed(.badBuffer),
        "\(sections) \(offset) \(size) \(count)")
    }
    for size: UInt32 in [0, 67, 6145, (1 << 18) + 4, .max] {
      let shell = Shell()
      try shell.answer(.initializeComplete(version: 0x60001, chain: 0, .success))
      try shell.answer(
        .receiveBufferComplete(.success, sections: 1, NVSPReceiveSection(byteCount: 1728, count: 606, end: 0)))
      #expect(try shell.answer(.sendBufferComplete(.success, sectionSize: size)) == .failed(.badBuffer), "\(size)")
    }
  }

  @Test func answersToNothing() throws {
    let shell = Shell()
    shell.pump()
    let bytes = ScriptedNetworkGuest.bytes(.initializeComplete(version: 0, chain: 0, .success))
    for id in [0, 1, shell.last &- 1, shell.last &+ 1, .max] as [UInt64] {
      #expect(throws: NetworkClientFault.notOutstanding) {
        try shell.client.receive(completion: unsafe bytes.span.bytes, transactionID: id)
      }
    }
    // The right answer to another question.
    #expect(try shell.answer(.subChannels(.success, count: 1)) == .failed(.malformed))
    #expect(shell.client.faults == 6)
  }

  @Test func truncatedAnswers() throws {
    for count in 0..<16 {
      let shell = Shell()
      shell.pump()
      let bytes = Array(ScriptedNetworkGuest.bytes(.initializeComplete(version: 0, chain: 0, .success)).prefix(count))
      #expect(
        try shell.client.receive(completion: unsafe bytes.span.bytes, transactionID: shell.last)
          == .failed(.malformed))
    }
  }

  @Test func unusableValues() throws {
    for mtu: UInt32 in [0, 67] {
      let shell = Shell()
      try shell.share()
      shell.pump()
      _ = try shell.finish(.initializeComplete(RNDISInitialization(id: shell.requestID, maximumTransfer: 6144)))
      #expect(try shell.query(shell.word(mtu)) == .failed(.malformed))
    }
    for address in [[0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6], [1, 2], []] as [[UInt8]] {
      let shell = Shell()
      try shell.share()
      shell.pump()
      _ = try shell.finish(.initializeComplete(RNDISInitialization(id: shell.requestID, maximumTransfer: 6144)))
      _ = try shell.query(shell.word(65536))
      #expect(shell.client.mtu == 1500)
      #expect(try shell.query(address) == .failed(.malformed), "\(address)")
    }
    // An alignment of 2 GiB.
    let shell = Shell()
    try shell.share()
    shell.pump()
    let answer = RNDISInitialization(id: shell.requestID, maximumTransfer: 6144, alignmentFactor: 31)
    #expect(try shell.finish(.initializeComplete(answer)) == .failed(.malformed))
  }

  private func ready(queues: UInt32 = 4, entries: UInt16 = 128, granted: UInt32 = 3) throws -> Shell {
    let shell = Shell()
    try shell.share()
    shell.pump()
    _ = try shell.finish(.initializeComplete(RNDISInitialization(id: shell.requestID, maximumTransfer: 6144)))
    _ = try shell.query(shell.word(1500))
    _ = try shell.query([0, 0x15, 0x5D, 1, 2, 3])
    _ = try shell.query([], .notSupported)
    shell.pump()
    _ = try shell.finish(.setComplete(id: shell.requestID, .success))
    _ = try shell.query(shell.word(0))
    _ = try shell.query(shell.word(1000))
    var capabilities = [UInt8](repeating: 0, count: 18)
    var span = capabilities.mutableSpan
    var raw = unsafe span.mutableBytes
    try ReceiveScalingCapabilities(queues: queues, entries: entries).encode(into: &raw, at: 0)
    if try shell.query(capabilities) == nil { try shell.answer(.subChannels(.success, count: granted)) }
    #expect(shell.client.state == .ready)
    return shell
  }

  @Test func scalingThatMakesNoSense() throws {
    #expect(try ready(queues: 0).client.subChannels == 0)
    #expect(try ready(queues: 1).client.subChannels == 0)
    #expect(try ready(queues: .max).client.subChannels == 3)
    #expect(try ready(entries: 0).client.scalingEntries == 128)
    #expect(try ready(entries: .max).client.scalingEntries == 128)
    // Fewer than asked for are fine; more are none.
    #expect(try ready(granted: 2).client.subChannels == 2)
    #expect(try ready(granted: 65535).client.subChannels == 0)
    let shell = try ready()
    #expect(!shell.client.accepts(subChannel: 0) && shell.client.accepts(subChannel: 3))
    #expect(!shell.client.accepts(subChannel: 4))
  }

  @Test func noticesThatLie() throws {
    let shell = try ready()
    func notice(_ bytes: [UInt8]) throws(NetworkClientFault) -> NetworkClient.Event? {
      try shell.client.receive(notice: unsafe bytes.span.bytes)
    }
    #expect(throws: NetworkClientFault.malformed) { try notice([]) }
    #expect(throws: NetworkClientFault.malformed) { try notice([134, 0, 0, 0]) }
    #expect(throws: NetworkClientFault.malformed) {
      try notice(ScriptedNetworkGuest.bytes(.sendTable(NVSPSendTable(spreadOver: 5))))
    }
    #expect(
      try notice(ScriptedNetworkGuest.bytes(.sendTable(NVSPSendTable(spreadOver: 4))))
        == .sendTable(NVSPSendTable(spreadOver: 4)))
    #expect(try notice(ScriptedNetworkGuest.bytes(.virtualFunction(isAllocated: true, serial: 1))) == nil)
    // 10^4 changes of the link, and answers that nobody asked for.
    for step in 0..<10_000 {
      let bytes = ScriptedNetworkGuest.bytes(
        .indicate(step % 2 == 0 ? .mediaDisconnect : .mediaConnect, information: .none))
      #expect(try shell.client.receive(control: unsafe bytes.span.bytes) == .linkChanged)
    }
    for message in [RNDISMessage.setComplete(id: 99, .success), .keepAlive(id: 1), .halt(id: 1), .reset] {
      let bytes = ScriptedNetworkGuest.bytes(message)
      #expect(throws: NetworkClientFault.self) { try shell.client.receive(control: unsafe bytes.span.bytes) }
    }
    let short = ScriptedNetworkGuest.bytes(.indicate(.linkSpeedChange, information: .bytes(2)), [1, 2])
    #expect(throws: NetworkClientFault.malformed) { try shell.client.receive(control: unsafe short.span.bytes) }
    #expect(shell.client.state == .ready)
  }

  // MARK: Frames

  private struct Memory: NetworkReceiveBuffer {
    var bytes: [UInt8]

    func copy(at offset: UInt32, into target: inout MutableRawSpan) {
      for index in 0..<target.byteCount {
        // What lies outside is a fault of ours.
        do throws(WireError) { try target.write(bytes[Int(offset) + index], at: index) } catch { return }
      }
    }
  }

  /// Gives a queue one transfer-page packet; the frames it takes, and what it answers.
  private func receive(
    _ ranges: [(count: UInt32, offset: UInt32)], _ memory: [UInt8], set: UInt16 = 0xCAFE, rangeCount: UInt32? = nil
  ) throws -> ([NetworkReceived], NVSPStatus) {
    let shell = try ready()
    let table = UnsafeMutableRawPointer.allocate(
      byteCount: NetworkQueue.tableBytes(capacity: 8, sections: 8), alignment: 16)
    defer { unsafe table.deallocate() }
    var queue = unsafe NetworkQueue(
      NetworkQueue.Layout(shell.client, channel: 0, of: 1), table: table, capacity: 8, sections: 8)
    var bytes =
      [UInt8](repeating: 0, count: 16) + shell.word(UInt32(set)) + shell.word(rangeCount ?? UInt32(ranges.count))
    for range in ranges { bytes += shell.word(range.count) + shell.word(range.offset) }
    let offset = bytes.count
    bytes += ScriptedNetworkGuest.bytes(NVSPPacket(isControl: false))
    let packet = Packet(
      type: .transferPages, completionRequested: true, transactionID: 3, payloadOffset: offset, byteCount: bytes.count)
    guard case .messages(var inbound) = try queue.receive(packet, in: unsafe bytes.span.bytes) else {
      Issue.record("not messages")
      return ([], .failure)
    }
    var frames: [NetworkReceived] = []
    let buffer = Memory(bytes: memory + [UInt8](repeating: 0, count: 1 << 20 - memory.count))
    while let message = queue.nextMessage(of: &inbound, in: unsafe bytes.span.bytes, buffer: buffer) {
      if case .frame(let frame) = message {
        frames.append(frame)
        #expect(Int(frame.offset) + frame.byteCount <= 606 * 1728)
      }
    }
    #expect(inbound.transactionID == 3)
    return (frames, inbound.status)
  }

  @Test func rangesOutsideTheBuffer() throws {
    let message = ScriptedNetworkGuest.bytes(frame(100))
    let size = UInt32(606 * 1728)
    for (count, offset) in [
      (144, size - 143), (144, .max), (.max, 0), (1729, 0), (0, 0), (7, 0), (43, 0), (143, 0), (144, size),
    ] as [(UInt32, UInt32)] {
      let (frames, status) = try receive([(count, offset)], message)
      #expect(frames.isEmpty && status == .failure, "\(count) \(offset)")
    }
    // A bad one among good ones.
    let (frames, status) = try receive([(144, 0), (.max, .max), (144, 0)], message)
    #expect(frames.count == 2 && status == .failure)
    #expect(frames.first?.offset == 44 && frames.first?.byteCount == 100)
  }

  @Test func packetsThatLie() throws {
    #expect(throws: NetworkClientFault.malformed) { try receive([(144, 0)], [], rangeCount: .max) }
    #expect(throws: NetworkClientFault.malformed) { try receive([(144, 0)], [], rangeCount: 0) }
    #expect(throws: NetworkClientFault.malformed) { try receive([(144, 0)], [], set: 1) }
    var information = PacketInformation()
    information.hash = 7
    let good = ScriptedNetworkGuest.bytes(frame(100), information)
    let table: [UInt32] = [0, 1, 35, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFF8, .max]
    for place in [4, 8, 12, 28, 32, 44, 52] {
      for value in table {
        var bytes = good
        for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
        let (frames, _) = try receive([(UInt32(bytes.count), 0)], bytes)
        // Fewer bytes of data, or no records, are sound.
        let isSound = (place == 12 && (value == 1 || value == 35)) || (place == 32 && value == 0)
        #expect(frames.isEmpty == !isSound, "\(place) \(value)")
      }
    }
  }

  /// Parts of a frame without its beginning, without its end, twice begun.
  @Test func partsThatLie() throws {
    var memory: [UInt8] = []
    func part(_ isFirst: Bool, _ isLast: Bool) -> (UInt32, UInt32) {
      var information = PacketInformation()
      information.part = PacketPart(isFirst: isFirst, isLast: isLast, number: 1)
      let bytes = ScriptedNetworkGuest.bytes(frame(20), information)
      defer { memory += bytes }
      return (UInt32(bytes.count), UInt32(memory.count))
    }
    let first = part(true, false)
    let middle = part(false, false)
    let last = part(false, true)
    let whole = part(true, true)
    func shape(_ parts: [(UInt32, UInt32)]) throws -> ([Int], NVSPStatus) {
      let (frames, status) = try receive(parts, memory)
      return (frames.map { ($0.isFirst ? 1 : 0) + ($0.isLast ? 2 : 0) }, status)
    }
    #expect(try shape([first, middle, last, whole]) == ([1, 0, 2, 3], .success))
    #expect(try shape([middle]) == ([], .failure))
    #expect(try shape([last]) == ([], .failure))
    #expect(try shape([first]) == ([], .failure))
    #expect(try shape([first, middle]) == ([1], .failure))
    #expect(try shape([whole, last, whole]) == ([3, 3], .failure))
    #expect(try shape([first, first, last]) == ([1, 1, 2], .success))
  }

  @Test func completionsThatLie() throws {
    let shell = try ready()
    let table = UnsafeMutableRawPointer.allocate(
      byteCount: NetworkQueue.tableBytes(capacity: 8, sections: 4), alignment: 16)
    defer { unsafe table.deallocate() }
    var queue = unsafe NetworkQueue(
      NetworkQueue.Layout(shell.client, channel: 0, of: 1), table: table, capacity: 8, sections: 4)
    var header = [UInt8](repeating: 0, count: 128)
    func begin(_ context: UInt64) throws -> NetworkSendPacket {
      var span = header.mutableSpan
      var raw = unsafe span.mutableBytes
      return try queue.begin(NetworkSend(byteCount: 100, context: context), .section, header: &raw)
    }
    func complete(_ id: UInt64, _ payload: [UInt8]) throws -> NetworkQueue.Inbound {
      let bytes = [UInt8](repeating: 0, count: 16) + payload
      let packet = Packet(
        type: .completion, completionRequested: false, transactionID: id, payloadOffset: 16, byteCount: bytes.count)
      return try queue.receive(packet, in: unsafe bytes.span.bytes)
    }
    let done: [UInt8] = [108, 0, 0, 0, 1, 0, 0, 0]
    let ids = try (0..<4).map { try begin(UInt64($0)).transactionID }
    // All four sections are in use.
    #expect(throws: NetworkClientFault.full) { try begin(9) }
    for id in [0, ids[0] + 1 << 16, ids[0] | 1 << 32, 8, 1 << 40] as [UInt64] {
      #expect(throws: NetworkClientFault.notOutstanding) { try complete(id, done) }
    }
    guard case .sent(let sent) = try complete(ids[2], done) else { return }
    #expect(sent.context == 2 && sent.isGood)
    #expect(throws: NetworkClientFault.notOutstanding) { try complete(ids[2], done) }
    // Damaged ones end their packet, as failures.
    for (index, payload) in [(0, []), (1, [1, 2, 3, 4, 5, 6, 7, 8]), (3, [108, 0, 0, 0, 5, 0, 0, 0])]
      as [(Int, [UInt8])]
    {
      guard case .sent(let sent) = try complete(ids[index], payload) else { return }
      #expect(sent.context == UInt64(index) && !sent.isGood)
    }
    #expect(queue.outstanding == 0 && queue.freeSections == 4 && queue.faults == 6)
  }
}
