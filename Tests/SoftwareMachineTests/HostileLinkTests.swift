// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import SoftwareMachine

/// What a broken or hostile peer may send: each ends in a typed error or is dropped, nothing traps.
@Suite struct HostileLinkTests {
  private func receive(_ frames: [Frame], by role: Link.Role, started: Bool = true) -> LinkError? {
    var link = Link(role: role)
    var events: [Link.Event] = []
    var bytes: [UInt8] = []
    if role == .inner && started {
      Frame(.start, payload: LinkTests.record(orders: 0).encoded()).encode(into: &bytes)
    }
    for frame in frames { frame.encode(into: &bytes) }
    do {
      try link.receive(bytes[...], events: &events)
      return nil
    } catch {
      return error
    }
  }

  private func number<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(little: value)
    return bytes
  }

  private let connection = StreamID(rawValue: 20)

  @Test func aLengthBeyondTheLimit() {
    var link = Link(role: .outer)
    var events: [Link.Event] = []
    #expect(throws: LinkError.oversized(.max)) {
      try link.receive([0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 4, 0], events: &events)
    }
  }

  @Test func aReservedByteThatIsSet() {
    var link = Link(role: .outer)
    var events: [Link.Event] = []
    #expect(throws: LinkError.malformed(.data)) { try link.receive([0, 0, 0, 0, 2, 0, 4, 1], events: &events) }
  }

  @Test func framesCutAtEveryLengthWait() throws {
    var bytes: [UInt8] = []
    Frame(.data, stream: .output, payload: [1, 2, 3]).encode(into: &bytes)
    for count in 0..<bytes.count {
      var decoder = FrameDecoder()
      decoder.append(bytes[..<count])
      #expect(try decoder.next() == nil)
      #expect(decoder.isMidFrame == (count > 0))
      decoder.append(bytes[count...])
      #expect(try decoder.next() == Frame(.data, stream: .output, payload: [1, 2, 3]))
      #expect(!decoder.isMidFrame)
    }
  }

  @Test func startRecordsCutOrWrong() {
    let whole = LinkTests.record(orders: 5).encoded()
    for count in 0..<whole.count {
      #expect(throws: LinkError.badStart) { try StartRecord(decoding: Array(whole[..<count])) }
    }
    #expect(throws: LinkError.badStart) { try StartRecord(decoding: whole + [0]) }
    var version = whole
    version[0] = 9
    #expect(throws: LinkError.badStart) { try StartRecord(decoding: version) }
    var files = whole
    files[48] = 200
    #expect(throws: LinkError.badStart) { try StartRecord(decoding: files) }
  }

  @Test func kindsOfTheWrongDirectionOrOfNone() {
    for kind: FrameKind in [.start, .orders, .open, .signal, .time, FrameKind(rawValue: 0), FrameKind(rawValue: 200)] {
      #expect(receive([Frame(kind, payload: number(UInt64(1)))], by: .outer) == .unexpected(kind))
    }
    for kind: FrameKind in [.pong, .exit, .failure, .start] {
      #expect(receive([Frame(kind, payload: number(UInt64(1)))], by: .inner) == .unexpected(kind))
    }
  }

  @Test func anythingBeforeTheStart() {
    for kind: FrameKind in [.orders, .open, .data, .end, .reset, .credit] {
      #expect(receive([Frame(kind, stream: connection, payload: [1])], by: .inner, started: false) == .unexpected(kind))
    }
  }

  @Test func payloadsOfTheWrongSize() {
    #expect(receive([Frame(.signal, payload: [1])], by: .inner) == .malformed(.signal))
    #expect(receive([Frame(.signal, payload: number(UInt32(65)))], by: .inner) == .malformed(.signal))
    #expect(receive([Frame(.time, payload: [])], by: .inner) == .malformed(.time))
    #expect(receive([Frame(.exit, payload: number(UInt32(0)))], by: .outer) == .malformed(.exit))
    #expect(receive([Frame(.exit, payload: number(UInt64(2)))], by: .outer) == .malformed(.exit))
    #expect(receive([Frame(.data, stream: .output)], by: .outer) == .malformed(.data))
    #expect(receive([Frame(.end, stream: .output, payload: [1])], by: .outer) == .malformed(.end))
    #expect(receive([Frame(.credit, stream: .input, payload: [1])], by: .outer) == .malformed(.credit))
  }

  @Test func moreOrdersThanAnnounced() {
    let start = Frame(.start, payload: LinkTests.record(orders: 2).encoded())
    #expect(receive([start, Frame(.orders, payload: [1, 2, 3])], by: .inner, started: false) == .malformed(.orders))
    #expect(receive([Frame(.orders, payload: [1])], by: .inner) == .unexpected(.orders))
  }

  @Test func moreDataThanTheWindow() {
    let frame = Frame(.data, stream: .output, payload: Array(repeating: 0, count: 16384))
    #expect(receive(Array(repeating: frame, count: 4), by: .outer) == nil)
    #expect(receive(Array(repeating: frame, count: 5), by: .outer) == .windowViolated(.output))
  }

  @Test func moreCreditThanTheWindow() {
    #expect(
      receive([Frame(.credit, stream: .input, payload: number(UInt32(1)))], by: .outer) == .windowViolated(.input))
    #expect(
      receive([Frame(.credit, stream: .input, payload: number(UInt32.max))], by: .outer) == .windowViolated(.input))
    #expect(
      receive([Frame(.credit, stream: .input, payload: number(UInt32(0)))], by: .outer) == .windowViolated(.input))
  }

  @Test func dataWhereNoneMayCome() {
    #expect(receive([Frame(.data, stream: .input, payload: [1])], by: .outer) == .dataAfterEnd(.input))
    let end = Frame(.end, stream: .error)
    #expect(receive([end, end], by: .outer) == nil, "the stream is gone after its end")
    #expect(receive([Frame(.data, stream: .link, payload: [1])], by: .outer) == .unknownStream(.data, .link))
    #expect(receive([Frame(.data, stream: connection, payload: [1])], by: .outer) == nil, "late data is dropped")
  }

  @Test func openingWhatIsOpenAndTooMuch() {
    let open = Frame(.open, stream: connection)
    #expect(receive([open, open], by: .inner) == .unknownStream(.open, connection))
    #expect(receive([Frame(.open, stream: .output)], by: .inner) == .unknownStream(.open, .output))
    let many = (16..<200).map { Frame(.open, stream: StreamID(rawValue: $0)) }
    #expect(receive(many, by: .inner) == .unknownStream(.open, StreamID(rawValue: 80)))
  }

  @Test func aPeerThatAsksAndNeverReads() {
    var link = Link(role: .inner)
    var events: [Link.Event] = []
    var bytes: [UInt8] = []
    Frame(.start, payload: LinkTests.record(orders: 0).encoded()).encode(into: &bytes)
    for _ in 0..<1000 { Frame(.time, payload: number(UInt64(1))).encode(into: &bytes) }
    #expect(throws: LinkError.flooded) {
      for _ in 0..<1000 {
        try link.receive(bytes[...], events: &events)
        bytes.removeAll()
        for _ in 0..<1000 { Frame(.time, payload: number(UInt64(1))).encode(into: &bytes) }
        events.removeAll()
      }
    }
  }

  /// Random bytes and random, mostly valid frames: the link answers with an error or goes on; nothing else happens.
  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func randomFrames(seed: UInt64) {
    var random = SplitMix(state: seed)
    for _ in 0..<300 {
      var link = Link(role: seed % 2 == 0 ? .outer : .inner)
      var events: [Link.Event] = []
      var bytes: [UInt8] = []
      if seed % 2 == 1 { Frame(.start, payload: LinkTests.record(orders: 0).encoded()).encode(into: &bytes) }
      for _ in 0..<40 {
        let size = Int(random.next() % 12)
        let stream = [0, 1, 2, 3, 16, 17, 65535][Int(random.next() % 7)]
        let payload = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let kind = FrameKind(rawValue: UInt8(random.next() % 14))
        Frame(kind, stream: StreamID(rawValue: UInt16(stream)), payload: payload).encode(into: &bytes)
        if random.next() % 8 == 0 { bytes[Int(random.next() % UInt64(bytes.count))] ^= 1 << UInt8(random.next() % 8) }
        do {
          try link.receive(bytes[...], events: &events)
        } catch {
          break
        }
        for case .data(let stream, let data) in events { link.consumed(data.count, on: stream) }
        events.removeAll()
        bytes.removeAll()
      }
    }
  }
}

/// A small reproducible generator (SplitMix64).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
