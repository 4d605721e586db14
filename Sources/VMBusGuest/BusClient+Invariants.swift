// SPDX-License-Identifier: Apache-2.0

import VMBus

extension BusClient {
  /// An answer of the host is still to come.
  public var isWaiting: Bool {
    switch state {
    case .contacting, .unloading: return true
    case .disconnected, .connected: break
    }
    for index in 0..<channels.capacity where !channels[index].isFree {
      if case .opening = channels[index].state { return true }
      if channels[index].isModifying { return true }
    }
    for index in 0..<gpadls.capacity {
      if gpadls[index].state == .creating || gpadls[index].state == .tearingDown { return true }
    }
    return false
  }

  /// A sentence about the first thing in the client's state that cannot be; `nil` when all is well. For tests, after
  /// each event.
  public func brokenInvariant() -> StaticString? {
    let isConnected = if case .connected = state { true } else { state == .unloading }
    for index in 0..<channels.capacity where !channels[index].isFree {
      let channel = channels[index]
      guard isConnected, offersRequested else { return "a channel without a connection" }
      guard channel.id.isValid else { return "a channel number out of range" }
      guard channelIndex(channel.id) == index else { return "two channels with one number" }
      if channel.state != .closed {
        guard let ring = gpadlIndex(channel.ringGPADL), gpadls[ring].channel == channel.id,
          gpadls[ring].state == .created
        else { return "a ring that is not the channel's own GPADL" }
      }
      if channel.isModifying && channel.state != .open { return "a closed channel is modified" }
    }
    for index in 0..<gpadls.capacity where gpadls[index].state != .free {
      guard channelIndex(gpadls[index].channel) != nil else { return "a GPADL without a channel" }
      guard gpadlIndex(gpadls[index].id) == index else { return "two GPADLs with one number" }
    }
    return nil
  }
}
