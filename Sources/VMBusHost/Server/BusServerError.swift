// SPDX-License-Identifier: Apache-2.0

import VMBus

/// Why the owner's own request could not be met.
public enum BusServerError: Error, Equatable, Sendable {
  /// 2047 channels exist, counting rescinded ones that the guest has not released.
  case noChannelNumber
  /// A channel with the same class, instance and sub-channel index is offered already.
  case alreadyOffered(ChannelID)
  /// Never offered, or rescinded already.
  case notOffered(ChannelID)
}
