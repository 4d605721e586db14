// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The guest's end of the heartbeat: answers each sequence number with the next.
public struct HeartbeatClient: Sendable {
  public private(set) var link: ServiceLink
  /// Heartbeats answered since the channel was opened.
  public private(set) var beats: UInt64 = 0

  public init(link: ServiceLink = ServiceLink(.heartbeat)) {
    self.link = link
  }

  public mutating func channelOpened() {
    link.reset()
    beats = 0
  }

  /// Turns the packet into its answer.
  @_lifetime(packet: copy packet)
  public mutating func receive(_ packet: inout MutableRawSpan) throws(ClientFault) -> ClientAnswer {
    guard case .request(let header) = try link.receive(&packet) else { return .send }
    do throws(WireError) {
      let sequence = try Self.sequence(packet.bytes, header)
      try packet.write(sequence &+ 1, at: IntegrationHeader.wireSize)
    } catch {
      link.countFault()
      throw ClientFault(error)
    }
    beats &+= 1
    try ServiceLink.answer(header, status: .ok, in: &packet)
    return .send
  }

  private static func sequence(_ packet: RawSpan, _ header: IntegrationHeader) throws(WireError) -> UInt64 {
    let body = try packet.slice(at: IntegrationHeader.wireSize, count: Int(header.bodySize))
    return try HeartbeatMessage(decoding: body).sequence
  }
}
