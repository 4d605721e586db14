// SPDX-License-Identifier: Apache-2.0

import VMBus

// One message from the guest, to the handler of its type. This file is about the hypercall: which port, how long,
// is there room for an answer.

extension BusServer {
  /// A post-message hypercall on any port; `payload` is a private copy. The result is the hypercall's status.
  public mutating func receive(
    connection port: ConnectionID, payload: RawSpan, effects: inout [BusServerEffect]
  ) -> HypercallStatus {
    guard isPort(port) else {
      refuse(.wrongConnection, nil, effects: &effects)
      return .invalidConnectionID
    }
    let message: GuestMessage
    do throws(MessageError) {
      message = try GuestMessage(decoding: payload)
    } catch {
      return refuse(error, effects: &effects)
    }
    // A contact may come on either port at any time: the kernel that sends it may not be the one that is connected.
    if case .initiateContact(let contact) = message {
      initiateContact(contact, effects: &effects)
      return .success
    }
    if let connection, port != connection.port {
      refuse(.wrongConnection, message.type, effects: &effects)
      return .invalidConnectionID
    }
    if message.hasReply && queue.replyCount >= limits.replies {
      refuse(.queueFull, message.type, effects: &effects)
      return .insufficientBuffers
    }
    handle(message, effects: &effects)
    return .success
  }

  /// Ports of guests from 5.0 on don't exist on a host that is capped below: Linux then goes to 4.1 at once.
  private func isPort(_ port: ConnectionID) -> Bool {
    port == .legacyMessages || port == .messages && maximumVersion.usesMessageConnection
  }

  private mutating func refuse(_ error: MessageError, effects: inout [BusServerEffect]) -> HypercallStatus {
    switch error {
    case .noHeader: refuse(.noHeader, nil, effects: &effects)
    case .unknownType(let type): refuse(.unknownType, type, effects: &effects)
    case .wrongSender(let type): refuse(.hostMessage, type, effects: &effects)
    case .malformed(let type, _): refuse(.malformed, type, effects: &effects)
    case .tooLong:
      refuse(.tooLong, nil, effects: &effects)
      return .invalidParameter
    }
    return .success
  }

  private mutating func handle(_ message: GuestMessage, effects: inout [BusServerEffect]) {
    if case .unload = message { return unload(effects: &effects) }
    guard let connection else {
      // Linux releases every channel once more when its bus module is removed, after it has unloaded.
      if case .channelReleased = message { return }
      return refuse(.notConnected, message.type, effects: &effects)
    }
    switch message {
    case .initiateContact, .unload: break  // Handled above: these two are welcome in every state.
    case .requestOffers: requestOffers(effects: &effects)
    case .channelReleased(let release): channelReleased(release, effects: &effects)
    case .openChannel(let open): openChannel(open, effects: &effects)
    case .closeChannel(let close): closeChannel(close, effects: &effects)
    case .modifyChannel(let modify): modifyChannel(modify, version: connection.version, effects: &effects)
    case .openReservedChannel: refuse(.reservedChannel, message.type, effects: &effects)
    case .closeReservedChannel(let close): closeReservedChannel(close, effects: &effects)
    case .gpadlHeader(let header): gpadlHeader(header, effects: &effects)
    case .gpadlBody(let body): gpadlBody(body, effects: &effects)
    case .gpadlTeardown(let teardown): gpadlTeardown(teardown, effects: &effects)
    case .socketConnectRequest(let request): socketConnect(request, effects: &effects)
    }
  }

  private mutating func closeReservedChannel(_ message: CloseReservedChannel, effects: inout [BusServerEffect]) {
    refuse(.reservedChannel, .closeReservedChannel, effects: &effects)
    reply(.closeReservedChannelResponse(CloseReservedChannelResponse(channel: message.channel)))
  }

  private mutating func socketConnect(_ message: SocketConnectRequest, effects: inout [BusServerEffect]) {
    refuse(.noSocket, .socketConnectRequest, effects: &effects)
    reply(
      .socketConnectResult(
        SocketConnectResult(endpoint: message.endpoint, service: message.service, status: .connectionRefused)))
  }
}

extension BusServer.Connection {
  /// Where everything but a contact is posted.
  var port: ConnectionID { version.usesMessageConnection ? .messages : .legacyMessages }
}

extension GuestMessage {
  /// May put a message into the queue. A contact and an unload do too, but empty it first.
  var hasReply: Bool {
    switch self {
    case .openChannel, .modifyChannel, .closeReservedChannel, .gpadlHeader, .gpadlBody, .gpadlTeardown,
      .socketConnectRequest:
      true
    // The offers are bounded by the number of channels, and asked for once.
    case .initiateContact, .unload, .requestOffers, .channelReleased, .closeChannel, .openReservedChannel:
      false
    }
  }
}
