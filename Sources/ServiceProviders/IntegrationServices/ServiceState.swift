// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// How far a service has come with this guest.
public enum ServiceState: Hashable, Sendable {
  /// The guest has not opened the channel: no driver, or the service is switched off.
  case closed
  /// The channel is open and NEGOTIATE is on its way.
  case negotiating
  /// NEGOTIATE has waited for some seconds. Linux leaves the key-value exchange (and the uio file copy of 6.12)
  /// unanswered until the guest's daemon runs: that may be for ever, and is no error.
  case waitingForDaemon
  case ready(framework: ServiceVersion, message: ServiceVersion)
  /// The guest knows none of our versions, or answered the negotiation with nonsense.
  case unsupported

  public var isReady: Bool {
    if case .ready = self { true } else { false }
  }
}
