// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceProviders
import VMBusHost
import VirtualSwitch

/// A network adapter in the machine, as its owner deals with it: a synthetic one on the bus, or an emulated one.
protocol NetworkDevice: AnyObject, Sendable {
  var name: String { get }

  /// Puts the adapter on the bus, if it belongs there.
  func offer(on bus: PartitionBus) throws(BusServerError)
  func withdraw(from bus: PartitionBus)
  /// The machine was reset.
  func reset()

  /// Plugs the adapter in, or out with nil. `make` gets what the port is to take. The connection before is to be
  /// disconnected by the caller, after this.
  func connect(
    _ make: (any SwitchPortSink, PortCapabilities) throws(SwitchError) -> (any SwitchConnection)?
  ) throws(SwitchError) -> (any SwitchConnection)?
  var connection: (any SwitchConnection)? { get }
  func setLink(isUp: Bool)
  /// Whether the guest may take another address.
  func allowAddressChange(_ isAllowed: Bool)
  var isLinkUp: Bool { get }

  /// Open ones; 0 of an emulated adapter.
  var channelCount: Int { get }
  var statistics: NetworkStatistics { get }
  var guestView: NetworkGuestView { get }
}

/// What a guest has made of an adapter.
struct NetworkGuestView: Sendable {
  var address: EthernetAddress
  var mtu: Int
  /// nil: not negotiated, or an emulated adapter.
  var version: NVSPVersion?
}

extension NetworkAdapterDevice: NetworkDevice {
  var connection: (any SwitchConnection)? { port.connection }

  var guestView: NetworkGuestView {
    let settings = settings
    return NetworkGuestView(address: settings.address, mtu: Int(settings.mtu), version: settings.version)
  }
}
