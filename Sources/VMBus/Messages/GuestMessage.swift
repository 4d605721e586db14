// SPDX-License-Identifier: Apache-2.0

/// A message from the guest, read.
public enum GuestMessage: Equatable, Sendable {
  case initiateContact(InitiateContact)
  case unload(Unload)
  case requestOffers(RequestOffers)
  case channelReleased(ChannelReleased)
  case openChannel(OpenChannel)
  case closeChannel(CloseChannel)
  case modifyChannel(ModifyChannel)
  case openReservedChannel(OpenReservedChannel)
  case closeReservedChannel(CloseReservedChannel)
  case gpadlHeader(GPADLHeader)
  case gpadlBody(GPADLBody)
  case gpadlTeardown(GPADLTeardown)
  case socketConnectRequest(SocketConnectRequest)

  /// Reads the payload of a message that the guest posted.
  public init(decoding bytes: RawSpan) throws(MessageError) {
    let type = try decodeType(of: bytes)
    guard type.sender == .guest else { throw type.sender == nil ? .unknownType(type) : .wrongSender(type) }
    do throws(WireError) {
      switch type {
      case .initiateContact: self = .initiateContact(try InitiateContact(decoding: bytes))
      case .unload: self = .unload(try Unload(decoding: bytes))
      case .requestOffers: self = .requestOffers(try RequestOffers(decoding: bytes))
      case .channelReleased: self = .channelReleased(try ChannelReleased(decoding: bytes))
      case .openChannel: self = .openChannel(try OpenChannel(decoding: bytes))
      case .closeChannel: self = .closeChannel(try CloseChannel(decoding: bytes))
      case .modifyChannel: self = .modifyChannel(try ModifyChannel(decoding: bytes))
      case .openReservedChannel: self = .openReservedChannel(try OpenReservedChannel(decoding: bytes))
      case .closeReservedChannel: self = .closeReservedChannel(try CloseReservedChannel(decoding: bytes))
      case .gpadlHeader: self = .gpadlHeader(try GPADLHeader(decoding: bytes))
      case .gpadlBody: self = .gpadlBody(try GPADLBody(decoding: bytes))
      case .gpadlTeardown: self = .gpadlTeardown(try GPADLTeardown(decoding: bytes))
      default: self = .socketConnectRequest(try SocketConnectRequest(decoding: bytes))
      }
    } catch {
      throw .malformed(type, error)
    }
  }

  public var type: MessageType {
    switch self {
    case .initiateContact: .initiateContact
    case .unload: .unload
    case .requestOffers: .requestOffers
    case .channelReleased: .channelReleased
    case .openChannel: .openChannel
    case .closeChannel: .closeChannel
    case .modifyChannel: .modifyChannel
    case .openReservedChannel: .openReservedChannel
    case .closeReservedChannel: .closeReservedChannel
    case .gpadlHeader: .gpadlHeader
    case .gpadlBody: .gpadlBody
    case .gpadlTeardown: .gpadlTeardown
    case .socketConnectRequest: .socketConnectRequest
    }
  }

  /// The wire form.
  public var encoded: MessageBuffer {
    switch self {
    case .initiateContact(let message): MessageBuffer(message)
    case .unload(let message): MessageBuffer(message)
    case .requestOffers(let message): MessageBuffer(message)
    case .channelReleased(let message): MessageBuffer(message)
    case .openChannel(let message): MessageBuffer(message)
    case .closeChannel(let message): MessageBuffer(message)
    case .modifyChannel(let message): MessageBuffer(message)
    case .openReservedChannel(let message): MessageBuffer(message)
    case .closeReservedChannel(let message): MessageBuffer(message)
    case .gpadlHeader(let message): MessageBuffer(message)
    case .gpadlBody(let message): MessageBuffer(message)
    case .gpadlTeardown(let message): MessageBuffer(message)
    case .socketConnectRequest(let message): MessageBuffer(message)
    }
  }
}

/// The type in the header of a message of plausible length.
func decodeType(of bytes: RawSpan) throws(MessageError) -> MessageType {
  guard bytes.byteCount <= MessageBuffer.capacity else { throw .tooLong(bytes.byteCount) }
  guard bytes.byteCount >= channelMessageHeaderSize else { throw .noHeader(available: bytes.byteCount) }
  do throws(WireError) {
    return MessageType(rawValue: try bytes.read(UInt32.self, at: 0))
  } catch {
    throw .noHeader(available: bytes.byteCount)
  }
}
