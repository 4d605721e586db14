// SPDX-License-Identifier: Apache-2.0

import ServiceProviders
import VMBus

/// What is known of one service at one moment.
struct ServiceSnapshot: Sendable {
  var enabled: Bool
  var state: ServiceState
  var counters: ServiceCounters
  /// The guest broke the channel's rings.
  var broken: RingError?
}
