// SPDX-License-Identifier: Apache-2.0

import VMBus

/// A channel as the server keeps it.
struct HostChannel: Sendable {
  enum State: Sendable {
    /// The guest doesn't know it: not connected, offers not requested, or a rescinded predecessor of the same identity
    /// is still to be released.
    case waiting
    case offered
    /// The owner has been told, `openCompleted` is still to come.
    case opening(Opening)
    case open(Opening)
    /// Gone for the owner; the number is the guest's until it releases it.
    case rescinded
  }

  struct Opening: Sendable {
    var ticket: OpenTicket
    var openID: OpenID
    var ringGPADL: GPADLID
    var targetVP: VPIndex
  }

  var description: OfferDescription
  var state: State
  /// Its own of the 128 monitors, for as long as the guest may know it.
  var monitor: UInt8?
  /// Complete or not.
  var gpadlCount = 0

  /// Opening or open.
  var opening: Opening? {
    switch state {
    case .opening(let opening), .open(let opening): opening
    case .waiting, .offered, .rescinded: nil
    }
  }

  var isWaiting: Bool {
    if case .waiting = state { true } else { false }
  }

  var isRescinded: Bool {
    if case .rescinded = state { true } else { false }
  }

  /// The guest may name it.
  var isKnownToGuest: Bool { !isWaiting }

  var summaryState: ChannelSummary.State {
    switch state {
    case .waiting: .waiting
    case .offered: .offered
    case .opening: .opening
    case .open: .open
    case .rescinded: .rescinded
    }
  }
}
