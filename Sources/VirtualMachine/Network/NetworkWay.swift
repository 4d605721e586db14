// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import VirtualSwitch

/// A way out that adapters are plugged into. Adapters with the same one share it; each has a user-mode network of its own.
public struct NetworkWay: Hashable, Sendable {
  public let connection: NetworkConnection
  let owner: String?

  /// nil: the adapter is plugged into nothing.
  init?(_ adapter: NetworkAdapterConfiguration) {
    guard adapter.connection != .none else { return nil }
    connection = adapter.connection
    switch adapter.connection {
    // A port of a shared switch is one adapter's, too: the switch holds it to that adapter's settings.
    case .user, .switch: owner = adapter.name
    case .tap, .interface, .none: owner = nil
    }
  }

  /// What the adapter's port here is held to: nothing where another switch sees to it.
  static func portSettings(_ adapter: NetworkAdapterConfiguration) -> PortSettings {
    if case .switch = adapter.connection {
      .uplink(maximumPayload: adapter.maximumPayload)
    } else {
      adapter.portSettings
    }
  }

  /// Those of a machine, in the order of its adapters.
  public static func all(_ adapters: [NetworkAdapterConfiguration]) -> [NetworkWay] {
    adapters.reduce(into: []) { ways, adapter in
      if let way = NetworkWay(adapter), !ways.contains(way) { ways.append(way) }
    }
  }

  /// On this host. nil: it leads nowhere.
  func uplink(_ adapter: NetworkAdapterConfiguration, machine: String) -> Uplink? {
    switch connection {
    case .user: .passt(adapter.forwards)
    case .tap(let name): .tap(name)
    case .interface(let name): .interface(name)
    case .switch(let name):
      MachineName(name).map {
        .socket(
          RuntimeDirectory.switches().ports(of: $0), name: "\(machine)/\(adapter.name)", adapter.portSettings)
      }
    case .none: nil
    }
  }
}

/// Where a machine's ways out are opened.
public enum NetworkPlace: Sendable {
  /// By this process.
  case here
  /// By the process around the software machine, which has a stream for each way that the machine started with.
  case relayed([NetworkWay: FrameStreamSource])

  func uplink(_ way: NetworkWay, _ adapter: NetworkAdapterConfiguration, machine: String) throws(SwitchError) -> Uplink
  {
    switch self {
    case .here:
      guard let uplink = way.uplink(adapter, machine: machine) else { throw .closed }
      return uplink
    case .relayed(let streams):
      guard let stream = streams[way] else {
        throw .refused(
          "the software machine has only the connections that it was started with, and \(way.connection) is none of them"
        )
      }
      return .stream(stream)
    }
  }
}
