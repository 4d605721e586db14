// SPDX-License-Identifier: Apache-2.0

/// Why a channel message could not be read. The receiver drops and counts it; nothing is answered, because
/// nothing in it can be trusted to say whom to answer.
public enum MessageError: Error, Equatable, Sendable {
  /// Fewer than the 8 bytes of the header.
  case noHeader(available: Int)
  /// More than a message slot can carry.
  case tooLong(Int)
  /// A number that no version up to 5.3 knows.
  case unknownType(MessageType)
  /// A message that only the other end may send.
  case wrongSender(MessageType)
  /// The fields of the type do not fit, or one holds a value that it cannot have.
  case malformed(MessageType, WireError)
}
