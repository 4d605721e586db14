// SPDX-License-Identifier: Apache-2.0

import VMBus

/// Names one opening of one channel, so that a completion that comes late (the guest closed, unloaded or was reset, and
/// opened again) is not taken for another opening's.
public struct OpenTicket: Hashable, Sendable {
  public let channel: ChannelID
  let serial: UInt64
}
