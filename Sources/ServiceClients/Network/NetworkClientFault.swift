// SPDX-License-Identifier: Apache-2.0

/// Why the guest's end of a network adapter refuses something. None of these is a trap: the host is not trusted.
public enum NetworkClientFault: Error, Hashable, Sendable {
  /// A packet or a message that ends before what it must contain.
  case truncated
  /// A value that the protocol does not allow.
  case malformed
  /// An answer to nothing that was asked.
  case notOutstanding
  /// Every slot or section is taken: wait for completions.
  case full
  /// Longer than a section, or than what a message can say.
  case tooLong
  /// Not now.
  case wrongState
  /// The host speaks no version that we do.
  case noVersion
  /// The host said no to something that cannot be done without.
  case refused
  /// The host divided a buffer in a way that does not fit into it.
  case badBuffer
}
