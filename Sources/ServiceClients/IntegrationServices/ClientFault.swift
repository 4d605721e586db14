// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What can be wrong with a packet from the host. The packet is dropped without an answer; the channel goes on.
public enum ClientFault: Error, Hashable, Sendable {
  /// Shorter than its headers or its message, or a length field beyond the packet.
  case truncated
  /// Not the data pipe type, or not a request.
  case malformed
  /// A request before the negotiation.
  case notNegotiated
  /// Another request while one is being worked on.
  case busy
  /// An answer to a request that is not there any more.
  case notOutstanding
  /// A field with a value that its format does not allow.
  case badBody

  init(_ error: WireError) {
    switch error {
    case .truncated: self = .truncated
    case .invalid: self = .badBody
    }
  }
}

/// What to do with the packet after the machine has looked at it.
public enum ClientAnswer: Hashable, Sendable {
  /// The packet is its own answer now: send it back, whole, with the same transaction id.
  case send
  /// The answer needs work outside: keep the packet for the machine's `answer`.
  case later
}
