// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// What the owner of an adapter is to do.
public enum NetworkEffect: Sendable {
  /// Offer this many channels with the adapter's GUIDs and the indices 1, 2, ….
  case offerSubChannels(UInt16)
  /// Rescind those that were offered.
  case withdrawSubChannels
  /// On each of these channels, on its own thread: `NetworkChannel.carryOut`. The GPADLs of a connection that this ends
  /// are in use until all have done so.
  case order(NetworkOrder, channels: [UInt16])
  /// What was agreed on has changed: for whoever brings frames. The channel that the change came from acts by it already.
  case settingsChanged(NetworkSettings)
  /// The guest has taken another address.
  case addressChanged(EthernetAddress)
}

/// What the adapter wants of a channel.
public enum NetworkOrder: Sendable {
  case apply(NetworkSettings)
  /// Tell the guest about its link.
  case indicate(NetworkIndication)
  /// Tell the guest how to spread what it sends.
  case spread(NVSPSendTable)
}

/// News for the guest. Of each kind only the latest is told.
public enum NetworkIndication: Hashable, Sendable {
  case link(isUp: Bool)
  /// In bits per second.
  case speed(UInt64)
  /// Same link, another network: the guest asks for its addresses again.
  case networkChanged
}
