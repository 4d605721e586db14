// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The guest's end of the shutdown service: agrees, and keeps what it agreed to until the shell has sent the answer.
public struct ShutdownClient: Sendable {
  public private(set) var link: ServiceLink
  /// Whether the platform can hibernate.
  public let hibernates: Bool
  private var pending: ShutdownFlags?
  private var started = false

  public init(hibernates: Bool = false, link: ServiceLink = ServiceLink(.shutdown)) {
    self.link = link
    self.hibernates = hibernates
  }

  public mutating func channelOpened() {
    link.reset()
    pending = nil
    started = false
  }

  /// Turns the packet into its answer; then look at `takeAction()` once the answer is sent.
  @_lifetime(packet: copy packet)
  public mutating func receive(_ packet: inout MutableRawSpan) throws(ClientFault) -> ClientAnswer {
    guard case .request(let header) = try link.receive(&packet) else { return .send }
    let request: ShutdownMessage
    do throws(WireError) {
      let body = try packet.bytes.slice(at: IntegrationHeader.wireSize, count: Int(header.bodySize))
      request = try ShutdownMessage(decoding: body)
    } catch {
      link.countFault()
      throw ClientFault(error)
    }
    let agreed =
      switch request.flags.action {
      case .powerOff, .restart: true
      case .hibernate: hibernates
      default: false
      }
    if agreed, !started { pending = request.flags.action }
    try ServiceLink.answer(header, status: agreed ? .ok : .failure, in: &packet)
    return .send
  }

  /// What to do now: once for the first request agreed to, nothing for those after it.
  public mutating func takeAction() -> ShutdownFlags? {
    guard let action = pending else { return nil }
    pending = nil
    // A system that hibernated comes back and may be asked again.
    started = action != .hibernate
    return action
  }
}
