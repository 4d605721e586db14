// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What the host did, checked. A host may also do nothing at all: the shell waits with a time limit.
public enum BusClientEvent: Equatable, Sendable {
  case connected(ProtocolVersion)
  /// The host speaks no version of ours, or its port is gone.
  case connectFailed(BusClientError)
  /// A channel came: in the table from now on.
  case offered(Offer)
  /// All channels that the host had when it was asked have come.
  case offersDelivered
  /// The end of `open`.
  case opened(ChannelID, NTStatus)
  /// The end of `createGPADL`.
  case gpadlCreated(GPADLID, ChannelID, NTStatus)
  /// The end of `tearDown`: the memory is ours again.
  case gpadlTornDown(GPADLID, ChannelID)
  /// The end of `modify`, from version 5.3 on; before, there is none.
  case modified(ChannelID, NTStatus)
  /// The device is gone. What was waiting on the channel has been ended; close it, tear its GPADLs down, release it.
  case rescinded(ChannelID)
  /// The end of `unload`: the tables are empty.
  case unloaded
  /// A Hyper-V socket could not be connected.
  case socketRefused(SocketConnectResult)
  /// The host sent what it may not send. All are counted in `BusClient.count(of:)`.
  case refused(BusClientRefusal)
}
