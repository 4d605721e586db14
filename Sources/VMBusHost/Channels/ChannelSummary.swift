// SPDX-License-Identifier: Apache-2.0

import VMBus

/// A channel as `lis vm show` lists it.
public struct ChannelSummary: Equatable, Sendable {
  public enum State: String, Sendable {
    /// Not offered to the guest: it has not asked yet, or has still to release the channel's predecessor.
    case waiting
    case offered
    case opening
    case open
    case rescinded
  }

  public var channel: ChannelID
  public var description: OfferDescription
  public var state: State
  /// While open.
  public var targetVP: VPIndex?
  public var gpadlCount: Int
}
