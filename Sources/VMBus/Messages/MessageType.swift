// SPDX-License-Identifier: Apache-2.0

/// The number at the start of a channel message. The peer may send any number.
public struct MessageType: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let offer = MessageType(rawValue: 1)
  public static let rescind = MessageType(rawValue: 2)
  public static let requestOffers = MessageType(rawValue: 3)
  public static let allOffersDelivered = MessageType(rawValue: 4)
  public static let openChannel = MessageType(rawValue: 5)
  public static let openResult = MessageType(rawValue: 6)
  public static let closeChannel = MessageType(rawValue: 7)
  public static let gpadlHeader = MessageType(rawValue: 8)
  public static let gpadlBody = MessageType(rawValue: 9)
  public static let gpadlCreated = MessageType(rawValue: 10)
  public static let gpadlTeardown = MessageType(rawValue: 11)
  public static let gpadlTorndown = MessageType(rawValue: 12)
  public static let channelReleased = MessageType(rawValue: 13)
  public static let initiateContact = MessageType(rawValue: 14)
  public static let versionResponse = MessageType(rawValue: 15)
  public static let unload = MessageType(rawValue: 16)
  public static let unloadResponse = MessageType(rawValue: 17)
  public static let openReservedChannel = MessageType(rawValue: 18)
  public static let closeReservedChannel = MessageType(rawValue: 19)
  public static let closeReservedChannelResponse = MessageType(rawValue: 20)
  public static let socketConnectRequest = MessageType(rawValue: 21)
  public static let modifyChannel = MessageType(rawValue: 22)
  public static let socketConnectResult = MessageType(rawValue: 23)
  public static let modifyChannelResponse = MessageType(rawValue: 24)

  /// Who may send messages of this type; `nil` for a number that no version up to 5.3 knows.
  @inlinable public var sender: MessageSender? {
    switch rawValue {
    case 3, 5, 7, 8, 9, 11, 13, 14, 16, 18, 19, 21, 22: .guest
    case 1, 2, 4, 6, 10, 12, 15, 17, 20, 23, 24: .host
    default: nil
    }
  }
}
