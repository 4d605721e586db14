// SPDX-License-Identifier: Apache-2.0

/// What can be wrong with a message from the guest. Each kind is counted, and reported once per opening of the channel;
/// the message is dropped and the service goes on.
public enum ServiceFault: String, Error, Hashable, Sendable, CaseIterable {
  /// Shorter than its headers, or a length field beyond the packet.
  case truncated
  /// Not the data pipe type, or flags that make it no response.
  case malformed
  /// A message type that is not this service's.
  case wrongType
  /// A response while nothing is outstanding.
  case unexpectedReply
  /// A response to another transaction than the outstanding one.
  case wrongTransaction
  /// The negotiation chose a version that was not offered.
  case versionNotOffered
  /// Counts in the negotiation that make no sense.
  case badNegotiation
  /// A body whose fields contradict each other or the request.
  case badBody
  /// A heartbeat sequence number that went backwards, jumped or came twice.
  case badSequence
}
