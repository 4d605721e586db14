// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// What the owner of a controller is to do.
public enum StorageEffect: Hashable, Sendable {
  /// Offer this many channels with the controller's GUIDs and the indices 1, 2, ….
  case offerSubChannels(UInt16)
  /// Rescind those that were offered.
  case withdrawSubChannels
  /// On each of these channels, on its own thread: `StorageChannel.beginReset`, give up what it names, and when it has
  /// drained `StorageProvider.drained`. And let the units in scope know.
  case reset(StorageScope, channels: [UInt16])
  /// On this channel, on its own thread: `StorageChannel.answer`.
  case answer(channel: UInt16, StorageRequestID, NTStatus)
}
