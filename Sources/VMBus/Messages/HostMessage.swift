// SPDX-License-Identifier: Apache-2.0

/// A message from the host, read.
public enum HostMessage: Equatable, Sendable {
  case versionResponse(VersionResponse)
  case unloadResponse(UnloadResponse)
  case offer(Offer)
  case allOffersDelivered(AllOffersDelivered)
  case rescind(Rescind)
  case openResult(OpenResult)
  case modifyChannelResponse(ModifyChannelResponse)
  case closeReservedChannelResponse(CloseReservedChannelResponse)
  case gpadlCreated(GPADLCreated)
  case gpadlTorndown(GPADLTorndown)
  case socketConnectResult(SocketConnectResult)

  /// Reads the payload of a message that the host delivered.
  public init(decoding bytes: RawSpan) throws(MessageError) {
    let type = try decodeType(of: bytes)
    guard type.sender == .host else { throw type.sender == nil ? .unknownType(type) : .wrongSender(type) }
    do throws(WireError) {
      switch type {
      case .versionResponse: self = .versionResponse(try VersionResponse(decoding: bytes))
      case .unloadResponse: self = .unloadResponse(try UnloadResponse(decoding: bytes))
      case .offer: self = .offer(try Offer(decoding: bytes))
      case .allOffersDelivered: self = .allOffersDelivered(try AllOffersDelivered(decoding: bytes))
      case .rescind: self = .rescind(try Rescind(decoding: bytes))
      case .openResult: self = .openResult(try OpenResult(decoding: bytes))
      case .modifyChannelResponse: self = .modifyChannelResponse(try ModifyChannelResponse(decoding: bytes))
      case .closeReservedChannelResponse:
        self = .closeReservedChannelResponse(try CloseReservedChannelResponse(decoding: bytes))
      case .gpadlCreated: self = .gpadlCreated(try GPADLCreated(decoding: bytes))
      case .gpadlTorndown: self = .gpadlTorndown(try GPADLTorndown(decoding: bytes))
      default: self = .socketConnectResult(try SocketConnectResult(decoding: bytes))
      }
    } catch {
      throw .malformed(type, error)
    }
  }

  public var type: MessageType {
    switch self {
    case .versionResponse: .versionResponse
    case .unloadResponse: .unloadResponse
    case .offer: .offer
    case .allOffersDelivered: .allOffersDelivered
    case .rescind: .rescind
    case .openResult: .openResult
    case .modifyChannelResponse: .modifyChannelResponse
    case .closeReservedChannelResponse: .closeReservedChannelResponse
    case .gpadlCreated: .gpadlCreated
    case .gpadlTorndown: .gpadlTorndown
    case .socketConnectResult: .socketConnectResult
    }
  }

  /// The wire form.
  public var encoded: MessageBuffer {
    switch self {
    case .versionResponse(let message): MessageBuffer(message)
    case .unloadResponse(let message): MessageBuffer(message)
    case .offer(let message): MessageBuffer(message)
    case .allOffersDelivered(let message): MessageBuffer(message)
    case .rescind(let message): MessageBuffer(message)
    case .openResult(let message): MessageBuffer(message)
    case .modifyChannelResponse(let message): MessageBuffer(message)
    case .closeReservedChannelResponse(let message): MessageBuffer(message)
    case .gpadlCreated(let message): MessageBuffer(message)
    case .gpadlTorndown(let message): MessageBuffer(message)
    case .socketConnectResult(let message): MessageBuffer(message)
    }
  }
}
