// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// What every guest service does alike: check the headers, answer the negotiation, turn a request into its answer.
///
/// A guest answers in place, as Linux does: same packet, same transaction id, response flag, status and body changed.
public struct ServiceLink: Sendable {
  public let service: IntegrationService
  public let frameworks: ServiceVersionList
  public let messages: ServiceVersionList
  /// What the host and we agreed on; nil before the negotiation and when nothing matched.
  public private(set) var framework: ServiceVersion?
  public private(set) var message: ServiceVersion?
  /// Packets dropped as faulty since the channel was opened.
  public private(set) var faults: UInt64 = 0

  public init(_ service: IntegrationService) {
    self.init(service, frameworks: service.frameworkVersions, messages: service.messageVersions)
  }

  /// A guest that knows fewer versions.
  public init(_ service: IntegrationService, frameworks: ServiceVersionList, messages: ServiceVersionList) {
    self.service = service
    self.frameworks = frameworks
    self.messages = messages
  }

  /// The channel was opened (again): the host negotiates anew.
  public mutating func reset() {
    framework = nil
    message = nil
    faults = 0
  }

  /// What a packet is.
  public enum Inbound: Hashable, Sendable {
    /// A negotiation, answered in the packet.
    case negotiated
    /// A message of another service: answered in the packet with a failure, so that the host need not wait.
    case refused
    /// A request of this service; its body is `bodySize` bytes at offset 28.
    case request(IntegrationHeader)
  }

  /// Looks at a packet, which is a private copy.
  @_lifetime(packet: copy packet)
  public mutating func receive(_ packet: inout MutableRawSpan) throws(ClientFault) -> Inbound {
    do throws(ClientFault) {
      return try check(&packet)
    } catch {
      faults &+= 1
      throw error
    }
  }

  @_lifetime(packet: copy packet)
  private mutating func check(_ packet: inout MutableRawSpan) throws(ClientFault) -> Inbound {
    let header: IntegrationHeader
    do throws(WireError) {
      header = try IntegrationHeader(decoding: packet.bytes)
    } catch {
      if case .truncated = error { throw .truncated }
      throw .malformed
    }
    guard header.flags.contains(.request) else { throw .malformed }
    if header.type == .negotiate {
      try negotiate(header, &packet)
      return .negotiated
    }
    guard header.type == service.messageType else {
      try Self.answer(header, status: .failure, in: &packet)
      return .refused
    }
    guard message != nil else { throw .notNegotiated }
    return .request(header)
  }

  @_lifetime(packet: copy packet)
  private mutating func negotiate(
    _ header: IntegrationHeader, _ packet: inout MutableRawSpan
  ) throws(ClientFault) {
    let choice: NegotiationMessage.Answer
    do throws(WireError) {
      // The lists may reach beyond the body size of old hosts: the pipe size is what bounds them.
      let count = Int(header.pipeSize) &- (IntegrationHeader.wireSize &- IntegrationHeader.pipeHeaderSize)
      let body = try packet.bytes.slice(at: IntegrationHeader.wireSize, count: count)
      choice = try NegotiationMessage.choose(from: body, frameworks: frameworks, messages: messages)
    } catch {
      throw ClientFault(error)
    }
    framework = nil
    message = nil
    if case .chosen(let chosenFramework, let chosenMessage) = choice {
      framework = chosenFramework
      message = chosenMessage
    }
    do throws(WireError) {
      try NegotiationMessage.encode(choice, into: &packet, at: IntegrationHeader.wireSize)
      var answer = header
      // Linux writes 16 here whatever the host sent, and leaves the pipe size alone.
      answer.bodySize = min(NegotiationMessage.answerSize, header.bodySize)
      // And the status word as the host sent it.
      if choice == .none { answer.status = .failure }
      answer.flags = .transaction.union(.response)
      try answer.encode(into: &packet)
    } catch {
      throw ClientFault(error)
    }
  }

  /// Makes the packet the answer to the request that it holds.
  @_lifetime(packet: copy packet)
  public static func answer(
    _ request: IntegrationHeader, status: IntegrationStatus, in packet: inout MutableRawSpan
  ) throws(ClientFault) {
    var header = request
    header.status = status
    header.flags = .transaction.union(.response)
    do throws(WireError) {
      try header.encode(into: &packet)
    } catch {
      throw ClientFault(error)
    }
  }

  /// Counts a packet that the service's own checks dropped.
  public mutating func countFault() {
    faults &+= 1
  }
}
