// SPDX-License-Identifier: Apache-2.0

import VMBus

// Memory that the guest shares with the host.

extension BusClient {
  /// As many pages as a header can announce: 65535 bytes of words, the first of them the range's own.
  public static var maximumPages: Int { 65535 / 8 - 1 }

  /// Shares whole pages with the device of a channel; ends with `gpadlCreated`. From now until it is torn down the
  /// memory is the host's too.
  public mutating func createGPADL(
    on channel: ChannelID, _ pages: borrowing some PageFrameList & ~Copyable,
    _ sink: inout some BusClientSink & ~Copyable
  ) throws(BusClientError) -> GPADLID {
    _ = try usableChannel(channel)
    guard pages.count > 0, pages.count <= Self.maximumPages else { throw .unusablePageCount }
    var place = 0
    while place < gpadls.capacity, gpadls[place].state != .free { place &+= 1 }
    guard place < gpadls.capacity else { throw .gpadlTableFull }
    while gpadlIndex(GPADLID(nextGPADL)) != nil { nextGPADL &+= 1 }
    let id = GPADLID(nextGPADL)
    nextGPADL &+= 1

    var next = try postHeader(of: id, on: channel, pages, &sink)
    gpadls[place] = ClientGPADL(id: id, channel: channel, state: .creating)
    do throws(BusClientError) {
      while next < pages.count { next = try postBody(of: id, pages, from: next, &sink) }
    } catch {
      // The host has a part of it. The place stays taken until it says that it let go, and if it doesn't hear us,
      // until the channel or the connection ends.
      gpadls[place].state = .abandoned
      let teardown = GuestMessage.gpadlTeardown(GPADLTeardown(channel: channel, gpadl: id))
      if sink.post(teardown.encoded, to: connection) == .success { gpadls[place].state = .tearingDown }
      throw error
    }
    return id
  }

  // Each message takes some hundred bytes of the stack, so each has a function of its own. Both return the next page.

  @inline(never)
  private mutating func postHeader(
    of id: GPADLID, on channel: ChannelID, _ pages: borrowing some PageFrameList & ~Copyable,
    _ sink: inout some BusClientSink & ~Copyable
  ) throws(BusClientError) -> Int {
    var words = GPADLWords()
    // {byte count, byte offset 0}: below 32 MiB.
    _ = words.append(UInt64(truncatingIfNeeded: pages.count &* 4096))
    var next = 0
    while next < pages.count, words.count < GPADLHeader.maximumWords {
      _ = words.append(pages.frame(at: next))
      next &+= 1
    }
    let rangeBytes = UInt16(truncatingIfNeeded: (pages.count &+ 1) &* 8)
    try post(
      .gpadlHeader(GPADLHeader(channel: channel, gpadl: id, rangeBytes: rangeBytes, rangeCount: 1, words: words)),
      &sink)
    return next
  }

  @inline(never)
  private mutating func postBody(
    of id: GPADLID, _ pages: borrowing some PageFrameList & ~Copyable, from first: Int,
    _ sink: inout some BusClientSink & ~Copyable
  ) throws(BusClientError) -> Int {
    var words = GPADLWords()
    var next = first
    while next < pages.count, words.append(pages.frame(at: next)) { next &+= 1 }
    try post(.gpadlBody(GPADLBody(gpadl: id, words: words)), &sink)
    return next
  }

  /// Takes the memory back; ends with `gpadlTornDown`. Also after a rescind, when the channel is closed.
  public mutating func tearDown(_ id: GPADLID, _ sink: inout some BusClientSink & ~Copyable) throws(BusClientError) {
    guard case .connected = state else { throw .wrongState }
    guard let index = gpadlIndex(id), gpadls[index].state == .created else { throw .wrongGPADL }
    let channel = gpadls[index].channel
    if let user = channelIndex(channel), channels[user].state != .closed, channels[user].ringGPADL == id {
      throw .wrongChannelState
    }
    try post(.gpadlTeardown(GPADLTeardown(channel: channel, gpadl: id)), &sink)
    gpadls[index].state = .tearingDown
  }

  mutating func gpadlCreated(_ message: GPADLCreated, _ sink: inout some BusClientSink & ~Copyable) {
    guard let index = gpadlIndex(message.gpadl), gpadls[index].channel == message.channel else {
      return refuse(.gpadlNotAsked, &sink)
    }
    switch gpadls[index].state {
    case .creating:
      if message.status == .success { gpadls[index].state = .created } else { gpadls[index] = .free }
      sink.handle(.gpadlCreated(message.gpadl, message.channel, message.status))
    case .abandoned: break  // The answer crossed the rescind.
    case .free, .created, .tearingDown: refuse(.gpadlNotAsked, &sink)
    }
  }

  mutating func gpadlTornDown(_ message: GPADLTorndown, _ sink: inout some BusClientSink & ~Copyable) {
    guard let index = gpadlIndex(message.gpadl) else { return refuse(.teardownNotAsked, &sink) }
    switch gpadls[index].state {
    case .tearingDown:
      let channel = gpadls[index].channel
      gpadls[index] = .free
      sink.handle(.gpadlTornDown(message.gpadl, channel))
    case .abandoned: break  // The answer crossed the rescind.
    case .free, .creating, .created: refuse(.teardownNotAsked, &sink)
    }
  }

  func gpadlIndex(_ id: GPADLID) -> Int? {
    for index in 0..<gpadls.capacity where gpadls[index].state != .free && gpadls[index].id == id { return index }
    return nil
  }
}
