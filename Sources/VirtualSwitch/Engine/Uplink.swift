// SPDX-License-Identifier: Apache-2.0

/// A way out of a switch.
public enum Uplink: Hashable, Sendable {
  /// A TAP device of the host. `creates`: it is made, and goes away with the switch.
  case tap(String, queues: Int = 1, creates: Bool = false)
  /// A network interface of the host, whose own address the host keeps to itself.
  case interface(String)
  /// User-mode NAT, with ports of the host that lead inside.
  case passt([PortForwarding])
  /// Frames in a stream of bytes, each behind its length: the two ends of a software machine.
  case stream(FrameStreamSource)
  /// Another switch, by the path of its port socket; name and settings are the port's there, which holds to them what comes
  /// from here. nil: an uplink's.
  case socket(String, name: String, PortSettings? = nil)

  func driver(_ settings: PortSettings) throws(SwitchError) -> any FrameDriver {
    switch self {
    case .tap(let name, let queues, let creates):
      TAPDriver(name, queues: queues, creates: creates, payload: settings.maximumPayload)
    case .interface(let name): PacketSocketDriver(name)
    case .passt(let forwardings): PasstDriver(forwardings, payload: settings.maximumPayload)
    case .stream(let source): StreamDriver(source)
    case .socket(let path, let name, let own):
      try RemoteDriver(
        path,
        PortRequest(
          name: name, settings: own ?? .uplink(maximumPayload: settings.maximumPayload), capabilities: RemoteDriver.all)
      )
    }
  }
}
