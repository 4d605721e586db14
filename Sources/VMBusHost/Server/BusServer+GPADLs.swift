// SPDX-License-Identifier: Apache-2.0

import VMBus

// Memory that the guest shares. Bounded by `BusServerLimits`, counted by what the header announces, not by what came.

extension BusServer {
  mutating func gpadlHeader(_ message: GPADLHeader, effects: inout [BusServerEffect]) {
    guard let channel = table[message.channel], channel.isKnownToGuest else {
      return refuseGPADL(message, .unknownChannel, .notFound, effects: &effects)
    }
    guard gpadls[message.gpadl] == nil else {
      return refuseGPADL(message, .gpadlExists, .invalidParameter, effects: &effects)
    }
    let wordCount = Int(message.rangeBytes / 8)
    let rangeCount = Int(message.rangeCount)
    // The shortest range is a word of counts and one frame.
    guard message.rangeBytes % 8 == 0, rangeCount >= 1, rangeCount <= wordCount / 2 else {
      return refuseGPADL(message, .gpadlRanges, .invalidParameter, effects: &effects)
    }
    guard gpadls.count < limits.gpadls, wordCount <= limits.gpadlWords - gpadlWords else {
      return refuseGPADL(message, .gpadlLimit, .insufficientResources, effects: &effects)
    }
    var words: [UInt64] = []
    words.reserveCapacity(wordCount)
    words.append(message.words, upTo: wordCount)
    gpadls[message.gpadl] = HostGPADL(
      channel: message.channel, rangeCount: rangeCount, wordCount: wordCount, content: .collecting(words: words))
    gpadlWords += wordCount
    table[message.channel]?.gpadlCount += 1
    if words.count == wordCount { completeGPADL(message.gpadl, words, effects: &effects) }
  }

  private mutating func refuseGPADL(
    _ message: GPADLHeader, _ refusal: BusRefusal, _ status: NTStatus, effects: inout [BusServerEffect]
  ) {
    refuse(refusal, .gpadlHeader, effects: &effects)
    reply(.gpadlCreated(GPADLCreated(channel: message.channel, gpadl: message.gpadl, status: status)))
  }

  mutating func gpadlBody(_ message: GPADLBody, effects: inout [BusServerEffect]) {
    guard let gpadl = gpadls[message.gpadl] else {
      return refuse(.unknownGPADL, .gpadlBody, effects: &effects)
    }
    guard case .collecting(var words) = gpadl.content else {
      return refuse(.gpadlComplete, .gpadlBody, effects: &effects)
    }
    // So that the array is not copied for each body.
    gpadls[message.gpadl]?.content = .collecting(words: [])
    words.append(message.words, upTo: gpadl.wordCount)
    gpadls[message.gpadl]?.content = .collecting(words: words)
    if words.count == gpadl.wordCount { completeGPADL(message.gpadl, words, effects: &effects) }
  }

  /// All words have come.
  private mutating func completeGPADL(_ id: GPADLID, _ words: [UInt64], effects: inout [BusServerEffect]) {
    guard let gpadl = gpadls[id] else { return }
    let status: NTStatus
    do throws(GPADLError) {
      gpadls[id]?.content = .complete(
        try GPADL(words: words, rangeCount: gpadl.rangeCount, guestFrames: guestFrames))
      status = .success
      // The owner of a rescinded channel has let go of it.
      if table[gpadl.channel]?.isRescinded == false { effects.append(.shareGPADL(id, gpadl.channel)) }
    } catch {
      removeGPADL(id)
      refuse(error.refusal, .gpadlHeader, effects: &effects)
      status = .invalidParameter
    }
    reply(.gpadlCreated(GPADLCreated(channel: gpadl.channel, gpadl: id, status: status)))
  }

  mutating func gpadlTeardown(_ message: GPADLTeardown, effects: inout [BusServerEffect]) {
    guard let gpadl = gpadls[message.gpadl] else {
      refuse(.unknownGPADL, .gpadlTeardown, effects: &effects)
      return reply(.gpadlTorndown(GPADLTorndown(gpadl: message.gpadl)))
    }
    guard gpadl.channel == message.channel else {
      return refuse(.gpadlOfOtherChannel, .gpadlTeardown, effects: &effects)
    }
    if table[message.channel]?.opening?.ringGPADL == message.gpadl {
      refuse(.gpadlInUse, .gpadlTeardown, effects: &effects)
      close(message.channel, effects: &effects)
    }
    // A rescinded channel's memory was let go of when the owner rescinded.
    if gpadl.complete != nil, table[message.channel]?.isRescinded == false {
      effects.append(.releaseGPADL(message.gpadl, message.channel))
    }
    removeGPADL(message.gpadl)
    reply(.gpadlTorndown(GPADLTorndown(gpadl: message.gpadl)))
  }

  mutating func removeGPADL(_ id: GPADLID) {
    guard let gpadl = gpadls.removeValue(forKey: id) else { return }
    gpadlWords -= gpadl.wordCount
    table[gpadl.channel]?.gpadlCount -= 1
  }

  /// In ascending order, so that a trace replays to the same effects.
  func gpadlIDs(of channel: ChannelID) -> [GPADLID] {
    gpadls.filter { $0.value.channel == channel }.keys.sorted()
  }
}

extension [UInt64] {
  /// Words past `limit` in total are padding of the message.
  mutating func append(_ words: GPADLWords, upTo limit: Int) {
    var index = 0
    while index < words.count && count < limit {
      append(words[index])
      index += 1
    }
  }
}
