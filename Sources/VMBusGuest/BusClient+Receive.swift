// SPDX-License-Identifier: Apache-2.0

import VMBus

extension BusClient {
  /// A message of the host, from the message slot: a private copy.
  public mutating func receive(_ payload: RawSpan, _ sink: inout some BusClientSink & ~Copyable) {
    let message: HostMessage
    do throws(MessageError) {
      message = try HostMessage(decoding: payload)
    } catch {
      switch error {
      case .noHeader: refuse(.noHeader, &sink)
      case .tooLong: refuse(.tooLong, &sink)
      case .unknownType: refuse(.unknownType, &sink)
      case .wrongSender: refuse(.guestMessage, &sink)
      case .malformed: refuse(.malformed, &sink)
      }
      return
    }
    switch message {
    case .versionResponse(let response): return versionResponse(response, &sink)
    case .unloadResponse: return unloadResponse(&sink)
    default: break
    }
    // What crosses our unload is of no interest, and before the contact nothing is.
    guard case .connected = state else { return refuse(.notConnected, &sink) }
    switch message {
    case .versionResponse, .unloadResponse: break  // Handled above.
    case .offer(let offer): offered(offer, &sink)
    case .allOffersDelivered:
      if offersRequested { sink.handle(.offersDelivered) } else { refuse(.notConnected, &sink) }
    case .rescind(let rescind): rescinded(rescind, &sink)
    case .openResult(let result): openResult(result, &sink)
    case .modifyChannelResponse(let response): modifyResponse(response, &sink)
    case .closeReservedChannelResponse: refuse(.reservedNotAsked, &sink)
    case .gpadlCreated(let created): gpadlCreated(created, &sink)
    case .gpadlTorndown(let torndown): gpadlTornDown(torndown, &sink)
    case .socketConnectResult(let result): sink.handle(.socketRefused(result))
    }
  }
}
