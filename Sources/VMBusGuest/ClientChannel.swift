// SPDX-License-Identifier: Apache-2.0

import VMBus

/// A channel as the client keeps it.
public struct ClientChannel: Sendable {
  public enum State: Equatable, Sendable {
    case closed
    /// The host has been asked.
    case opening(OpenID)
    case open
  }

  /// Number 0: the place in the table is free.
  public internal(set) var id: ChannelID
  public internal(set) var classID: GUID
  public internal(set) var instanceID: GUID
  public internal(set) var subChannelIndex: UInt16
  /// Where the host is signalled.
  public internal(set) var connection: ConnectionID
  /// The host wants a bit in the monitor page instead of a hypercall.
  public internal(set) var monitorID: UInt8?
  public internal(set) var state: State
  public internal(set) var isRescinded: Bool
  /// The ring of the opening.
  public internal(set) var ringGPADL: GPADLID
  /// The answer to a modification is still to come.
  public internal(set) var isModifying: Bool

  static var free: ClientChannel {
    ClientChannel(
      Offer(
        classID: GUID(low: 0, high: 0), instanceID: GUID(low: 0, high: 0), channel: ChannelID(0),
        connection: ConnectionID(0)))
  }

  init(_ offer: Offer) {
    id = offer.channel
    classID = offer.classID
    instanceID = offer.instanceID
    subChannelIndex = offer.subChannelIndex
    connection = offer.connection
    monitorID = offer.monitorAllocated ? offer.monitorID : nil
    state = .closed
    isRescinded = false
    ringGPADL = GPADLID(0)
    isModifying = false
  }

  var isFree: Bool { id.rawValue == 0 }

  func isTwin(of offer: Offer) -> Bool {
    classID == offer.classID && instanceID == offer.instanceID && subChannelIndex == offer.subChannelIndex
  }
}
