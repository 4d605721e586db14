// SPDX-License-Identifier: Apache-2.0

/// Why a message of the host was dropped.
public enum BusClientRefusal: UInt8, Sendable {
  case noHeader
  case tooLong
  /// A number that no version up to 5.3 knows.
  case unknownType
  /// A message that only a guest may send.
  case guestMessage
  case malformed
  /// Anything but what the state waits for: an offer that was not asked for, an answer before the contact.
  case notConnected
  /// An answer to a contact that is not under way.
  case versionNotAsked
  /// An answer to an unload that is not under way.
  case unloadNotAsked
  /// 0 or above 2047.
  case channelNumber
  /// The number of a channel in the table.
  case channelExists
  /// A second channel with the identity of one in the table.
  case channelTwin
  case channelTableFull
  /// A number that is not in the table.
  case unknownChannel
  case rescindedTwice
  /// The result of an opening that is not under way, or of another one.
  case openNotAsked
  case modifyNotAsked
  case gpadlNotAsked
  case teardownNotAsked
  case reservedNotAsked

  /// How many cases there are. (`CaseIterable` would make an array.)
  public static let count = 19
}
