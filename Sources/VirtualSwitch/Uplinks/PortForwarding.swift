// SPDX-License-Identifier: Apache-2.0

/// A port of the host that leads to one of the guest, through user-mode NAT. Written `8080:80`, `tcp:8080:80`,
/// `udp:127.0.0.1:5353:53`.
public struct PortForwarding: Hashable, Sendable, CustomStringConvertible {
  public enum Transport: String, Sendable, CaseIterable { case tcp, udp }

  public let transport: Transport
  /// The host's address to listen at; `nil`: all of them.
  public let address: String?
  public let hostPort: UInt16
  public let guestPort: UInt16

  public init(_ transport: Transport = .tcp, address: String? = nil, hostPort: UInt16, guestPort: UInt16) {
    self.transport = transport
    self.address = address
    self.hostPort = hostPort
    self.guestPort = guestPort
  }

  public init?(_ text: String) {
    var parts = text.split(separator: ":", omittingEmptySubsequences: false)[...]
    transport = parts.first.flatMap { Transport(rawValue: String($0)) } ?? .tcp
    if let first = parts.first, Transport(rawValue: String(first)) != nil { parts = parts.dropFirst() }
    address = parts.count == 3 ? parts.popFirst().map(String.init) : nil
    guard parts.count == 2, let host = parts.first.flatMap({ UInt16($0) }), host > 0,
      let guest = parts.last.flatMap({ UInt16($0) }), guest > 0
    else { return nil }
    if let address {
      let bytes = address.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
      guard bytes.count == 4, !bytes.contains(nil) else { return nil }
    }
    hostPort = host
    guestPort = guest
  }

  public var description: String {
    "\(transport.rawValue):" + (address.map { "\($0):" } ?? "") + "\(hostPort):\(guestPort)"
  }

  /// passt's spelling.
  var passt: String { (address.map { "\($0)/" } ?? "") + "\(hostPort):\(guestPort)" }
}
