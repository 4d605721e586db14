// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What the owner of a `BusServer` has to do after a call, in this order, before it lets the guest go on.
public enum BusServerEffect: Equatable, Sendable {
  /// The guest has connected, or connected anew: what it had before is gone (earlier effects said so).
  case contacted(ProtocolVersion, targetVP: VPIndex)
  /// Open the device; any thread may then call `openCompleted`. The guest waits for it, so it must come.
  case openChannel(ChannelOpening)
  /// Stop using the rings, the doorbell and the event flag of this channel before the call returns. An opening that is
  /// under way is over: its completion is ignored.
  case closeChannel(ChannelID)
  /// Interrupts of the open channel go to this processor from now on (`VPIndex.none`: nowhere).
  case retargetChannel(ChannelID, VPIndex)
  /// The guest shares this memory on the channel, which need not be open, until `releaseGPADL`: `BusServer.gpadl` has it.
  case shareGPADL(GPADLID, ChannelID)
  /// Stop using the memory of this GPADL before the call returns. Never the ring's of an open channel.
  case releaseGPADL(GPADLID, ChannelID)
  /// The guest has forgotten the rescinded channel (or never knew it): the number may come back with another offer.
  case channelReleased(ChannelID)
  /// The guest has unloaded its bus driver; it may connect again.
  case unloaded
  /// A refusal that happened for the first time (of this kind, since the server was made): worth a line in the log.
  /// All are counted in `BusServer.refusals`.
  case refused(BusRefusal, MessageType?)
}
