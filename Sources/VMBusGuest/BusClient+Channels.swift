// SPDX-License-Identifier: Apache-2.0

import VMBus

// The life of a channel, seen from the guest.

extension BusClient {
  /// `nil`: no such channel.
  public func channel(_ id: ChannelID) -> ClientChannel? {
    guard let index = channelIndex(id) else { return nil }
    return channels[index]
  }

  /// The channel at a place in the table, for those who look at all; `index` is below `channelCapacity`.
  public func channel(at index: Int) -> ClientChannel? {
    guard index >= 0, index < channels.capacity, !channels[index].isFree else { return nil }
    return channels[index]
  }

  // MARK: Requests

  /// Asks the host to start the device; ends with `opened`. The ring headers must be initialised. `ring` is a GPADL of
  /// this channel; the host→guest ring begins at its page `hostToGuestPageOffset`.
  public mutating func open(
    _ id: ChannelID, ring: GPADLID, hostToGuestPageOffset: UInt32, targetVP: VPIndex, userData: UserData = UserData(),
    _ sink: inout some BusClientSink & ~Copyable
  ) throws(BusClientError) {
    let index = try usableChannel(id)
    guard channels[index].state == .closed else { throw .wrongChannelState }
    guard let gpadl = gpadlIndex(ring), gpadls[gpadl].channel == id, gpadls[gpadl].state == .created else {
      throw .wrongGPADL
    }
    let openID = OpenID(nextOpen)
    nextOpen &+= 1
    try post(
      .openChannel(
        OpenChannel(
          channel: id, openID: openID, ringGPADL: ring, targetVP: targetVP,
          hostToGuestPageOffset: hostToGuestPageOffset, userData: userData)), &sink)
    channels[index].state = .opening(openID)
    channels[index].ringGPADL = ring
  }

  /// Stops the device; there is no answer. Also after a rescind.
  public mutating func close(_ id: ChannelID, _ sink: inout some BusClientSink & ~Copyable) throws(BusClientError) {
    guard case .connected = state else { throw .wrongState }
    guard let index = channelIndex(id) else { throw .unknownChannel }
    guard channels[index].state == .open else { throw .wrongChannelState }
    try post(.closeChannel(CloseChannel(channel: id)), &sink)
    channels[index].state = .closed
    channels[index].isModifying = false
  }

  /// Sends the interrupts of an open channel to another processor. From 5.3 on it ends with `modified`; before, the
  /// old processor may be interrupted for a while.
  public mutating func modify(
    _ id: ChannelID, targetVP: VPIndex, _ sink: inout some BusClientSink & ~Copyable
  ) throws(BusClientError) {
    let index = try usableChannel(id)
    guard case .connected(let version) = state, version.hasModifyChannel else { throw .notInVersion }
    guard channels[index].state == .open, !channels[index].isModifying else { throw .wrongChannelState }
    try post(.modifyChannel(ModifyChannel(channel: id, targetVP: targetVP)), &sink)
    channels[index].isModifying = version.hasModifyChannelResponse
  }

  /// Forgets a rescinded channel, closed and with its memory torn down. The host may use the number again.
  public mutating func release(_ id: ChannelID, _ sink: inout some BusClientSink & ~Copyable) throws(BusClientError) {
    guard case .connected = state else { throw .wrongState }
    guard let index = channelIndex(id) else { throw .unknownChannel }
    guard channels[index].isRescinded, channels[index].state == .closed else { throw .wrongChannelState }
    for gpadl in 0..<gpadls.capacity where gpadls[gpadl].channel == id {
      guard gpadls[gpadl].state == .abandoned || gpadls[gpadl].state == .free else { throw .gpadlsLeft }
    }
    try post(.channelReleased(ChannelReleased(channel: id)), &sink)
    channels[index] = .free
    for gpadl in 0..<gpadls.capacity where gpadls[gpadl].channel == id { gpadls[gpadl] = .free }
  }

  /// Asks the host for a channel to one of its Hyper-V socket services; it comes as an offer whose instance is the
  /// endpoint, and `socketRefused` may come when it doesn't.
  public mutating func connectSocket(
    _ request: SocketConnectRequest, _ sink: inout some BusClientSink & ~Copyable
  ) throws(BusClientError) {
    guard case .connected(let version) = state else { throw .wrongState }
    guard version >= .v4_0 else { throw .notInVersion }
    try post(.socketConnectRequest(request), &sink)
  }

  // MARK: From the host

  mutating func offered(_ offer: Offer, _ sink: inout some BusClientSink & ~Copyable) {
    guard offersRequested else { return refuse(.notConnected, &sink) }
    guard offer.channel.isValid else { return refuse(.channelNumber, &sink) }
    var free = -1
    for index in 0..<channels.capacity {
      if channels[index].isFree {
        if free < 0 { free = index }
      } else if channels[index].id == offer.channel {
        return refuse(.channelExists, &sink)
      } else if channels[index].isTwin(of: offer) {
        return refuse(.channelTwin, &sink)
      }
    }
    guard free >= 0 else { return refuse(.channelTableFull, &sink) }
    channels[free] = ClientChannel(offer)
    sink.handle(.offered(offer))
  }

  /// Whoever waits for the host on this channel is told not to.
  mutating func rescinded(_ message: Rescind, _ sink: inout some BusClientSink & ~Copyable) {
    guard let index = channelIndex(message.channel) else { return refuse(.unknownChannel, &sink) }
    guard !channels[index].isRescinded else { return refuse(.rescindedTwice, &sink) }
    let id = message.channel
    channels[index].isRescinded = true
    if case .opening = channels[index].state {
      channels[index].state = .closed
      sink.handle(.opened(id, .invalidDeviceState))
    }
    if channels[index].isModifying {
      channels[index].isModifying = false
      sink.handle(.modified(id, .invalidDeviceState))
    }
    for gpadl in 0..<gpadls.capacity where gpadls[gpadl].channel == id {
      switch gpadls[gpadl].state {
      case .free, .created, .abandoned: break
      case .creating:
        gpadls[gpadl].state = .abandoned
        sink.handle(.gpadlCreated(gpadls[gpadl].id, id, .invalidDeviceState))
      case .tearingDown:
        gpadls[gpadl].state = .abandoned
        sink.handle(.gpadlTornDown(gpadls[gpadl].id, id))
      }
    }
    sink.handle(.rescinded(id))
  }

  mutating func openResult(_ message: OpenResult, _ sink: inout some BusClientSink & ~Copyable) {
    guard let index = channelIndex(message.channel) else { return refuse(.unknownChannel, &sink) }
    // The answer to an opening that crossed the rescind: the opener has been told.
    guard !channels[index].isRescinded else { return }
    guard channels[index].state == .opening(message.openID) else { return refuse(.openNotAsked, &sink) }
    channels[index].state = message.status == .success ? .open : .closed
    sink.handle(.opened(message.channel, message.status))
  }

  mutating func modifyResponse(_ message: ModifyChannelResponse, _ sink: inout some BusClientSink & ~Copyable) {
    guard let index = channelIndex(message.channel) else { return refuse(.unknownChannel, &sink) }
    guard !channels[index].isRescinded else { return }
    guard channels[index].isModifying else { return refuse(.modifyNotAsked, &sink) }
    channels[index].isModifying = false
    sink.handle(.modified(message.channel, message.status))
  }

  // MARK: The table

  func channelIndex(_ id: ChannelID) -> Int? {
    guard id.rawValue != 0 else { return nil }
    for index in 0..<channels.capacity where channels[index].id == id { return index }
    return nil
  }

  /// Connected, known, not rescinded.
  func usableChannel(_ id: ChannelID) throws(BusClientError) -> Int {
    guard case .connected = state else { throw .wrongState }
    guard let index = channelIndex(id) else { throw .unknownChannel }
    guard !channels[index].isRescinded else { throw .wrongChannelState }
    return index
  }
}
