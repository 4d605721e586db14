// SPDX-License-Identifier: Apache-2.0

import VMBus

/// All that the owner of a device needs to open its channel, validated: every frame is guest memory, both rings have
/// at least two pages, the processor exists.
public struct ChannelOpening: Equatable, Sendable {
  /// Names this opening; goes back to `BusServer.openCompleted`.
  public var ticket: OpenTicket
  public var ringGPADL: GPADLID
  /// Page frame numbers of the ring that the guest writes, its header page first.
  public var guestToHostFrames: [UInt64]
  /// Page frame numbers of the ring that the host writes, its header page first.
  public var hostToGuestFrames: [UInt64]
  /// The processor whose event flag `ticket.channel` tells the guest; `VPIndex.none`: don't.
  public var targetVP: VPIndex
  /// Where the guest signals the channel.
  public var connection: ConnectionID
  /// Where else it does so, and nobody tells the host: it has to look. nil: nowhere.
  public var monitor: ChannelMonitor?
  /// For the device, from the guest.
  public var userData: UserData

  public var channel: ChannelID { ticket.channel }
}
