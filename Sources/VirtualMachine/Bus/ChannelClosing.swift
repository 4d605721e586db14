// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What a device has to say when it is told to close a channel.
enum ChannelClosing: Sendable {
  /// Nothing uses the channel's rings any more, nor memory that came through them. With it end these sub-channels, to be
  /// rescinded.
  case closed(subChannels: [ChannelID] = [])
  /// Something is under way. No signal gets through any more, and nothing new begins; this returns, on another thread and
  /// without locks, when the channel is closed, with the sub-channels that end.
  case underWay(wait: @Sendable () -> [ChannelID])
}
