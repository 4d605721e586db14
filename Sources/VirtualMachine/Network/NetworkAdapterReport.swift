// SPDX-License-Identifier: Apache-2.0

import ServiceProviders
import VirtualSwitch

/// An adapter as it stands.
struct NetworkAdapterReport: Sendable {
  var configuration: NetworkAdapterConfiguration
  var isLinkUp: Bool
  var channels: Int
  var guestView: NetworkGuestView
  var statistics: NetworkStatistics
  /// nil: not plugged in.
  var port: PortReport?
  var capture: CaptureReport?
}
