// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import SoftwareMachine

/// Both ends of the link against each other in memory.
@Suite struct LinkTests {
  /// An outer and an inner end, and what each has heard.
  struct Pair {
    var outer = Link(role: .outer)
    var inner = Link(role: .inner)
    var outerEvents: [Link.Event] = []
    var innerEvents: [Link.Event] = []

    /// Carries everything over, in pieces of `size` bytes.
    mutating func settle(pieces size: Int = .max) throws {
      while !outer.outgoing.isEmpty || !inner.outgoing.isEmpty {
        let down = outer.outgoing.prefix(size)
        outer.sent(down.count)
        try inner.receive(Array(down)[...], events: &innerEvents)
        let up = inner.outgoing.prefix(size)
        inner.sent(up.count)
        try outer.receive(Array(up)[...], events: &outerEvents)
      }
    }

    static func started() throws -> Pair {
      var pair = Pair()
      pair.outer.sendStart(LinkTests.record(orders: 0), orders: [])
      try pair.settle()
      pair.innerEvents = []
      return pair
    }
  }

  static func record(orders: Int) -> StartRecord {
    StartRecord(
      ordersLength: UInt32(orders), wallClock: 1_234_567, seed: Array(repeating: 7, count: 32), files: [10, 1 << 40])
  }

  @Test(arguments: [1, 7, 8, 4096, Int.max])
  func startAndOrdersArriveInAnyPieces(size: Int) throws {
    var pair = Pair()
    let orders = (0..<40_000).map { UInt8(truncatingIfNeeded: $0) }
    pair.outer.sendStart(Self.record(orders: orders.count), orders: orders)
    try pair.settle(pieces: size)
    #expect(pair.innerEvents == [.started(Self.record(orders: orders.count), orders: orders)])
  }

  @Test func consoleBytesFlowUntilTheWindowIsFull() throws {
    var pair = try Pair.started()
    #expect(pair.outer.sendable(.output) == 0)
    #expect(pair.inner.sendable(.output) == Link.window)
    pair.inner.send(Array(repeating: 1, count: Link.window)[...], on: .output)
    try pair.settle()
    #expect(pair.inner.sendable(.output) == 0)
    pair.outer.consumed(Link.window / 2 - 1, on: .output)
    try pair.settle()
    #expect(pair.inner.sendable(.output) == 0, "credit comes in halves of a window")
    pair.outer.consumed(1, on: .output)
    try pair.settle()
    #expect(pair.inner.sendable(.output) == Link.window / 2)
  }

  @Test func aConnectionOpensTalksBothWaysAndEnds() throws {
    var pair = try Pair.started()
    let opened = pair.outer.openConnection()
    let stream = try #require(opened)
    pair.outer.send([1, 2, 3], on: stream)
    pair.outer.end(stream)
    try pair.settle()
    #expect(pair.innerEvents == [.opened(stream), .data(stream, [1, 2, 3]), .ended(stream)])
    pair.inner.send([4], on: stream)
    pair.inner.end(stream)
    try pair.settle()
    #expect(pair.outerEvents == [.data(stream, [4]), .ended(stream)])
    #expect(pair.outer.sendable(stream) == 0)
  }

  @Test func numbersAreNotReusedAtOnceAndConnectionsAreBounded() throws {
    var pair = try Pair.started()
    var seen: Set<UInt16> = []
    for _ in 0..<1000 {
      let opened = pair.outer.openConnection()
      let stream = try #require(opened)
      #expect(seen.insert(stream.rawValue).inserted)
      pair.outer.reset(stream)
    }
    let fitting = (0..<StreamID.maximumConnections).map { _ in pair.outer.openConnection() }
    #expect(fitting.allSatisfy { $0 != nil })
    let another = pair.outer.openConnection()
    #expect(another == nil)
    try pair.settle()
  }

  @Test func crossingResetsAndLateDataAreDropped() throws {
    var pair = try Pair.started()
    let opened = pair.outer.openConnection()
    let stream = try #require(opened)
    try pair.settle()
    pair.innerEvents = []
    pair.inner.send([1], on: stream)
    pair.outer.reset(stream)
    try pair.settle()
    #expect(pair.outerEvents.isEmpty)
    #expect(pair.innerEvents == [.reset(stream)])
  }

  @Test func signalsTimeAndTheEnd() throws {
    var pair = try Pair.started()
    pair.outer.sendSignal(15)
    pair.outer.sendTime(99)
    try pair.settle()
    #expect(pair.innerEvents == [.signal(15), .time(99)])
    #expect(pair.outerEvents == [.pong(99)])
    pair.inner.sendExit(code: 130)
    try pair.settle()
    #expect(pair.outerEvents.last == .exited(code: 130))
    var other = try Pair.started()
    other.inner.sendCrash(signal: 11)
    try other.settle()
    #expect(other.outerEvents == [.crashed(signal: 11)])
  }
}
