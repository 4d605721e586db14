// SPDX-License-Identifier: Apache-2.0

/// What can be wrong with what the host sends, or with what the caller asks for.
public enum StorageClientFault: Error, Hashable, Sendable {
  /// Shorter than its format.
  case truncated
  /// Not a completion and not a notice, or an operation that is neither.
  case malformed
  /// An answer to nothing that is outstanding: never asked, answered before, or from another opening.
  case notOutstanding
  /// The host answered a step of the bring-up with a failure.
  case refused
  /// The host has no version that we have.
  case noVersion
  /// The host's properties cannot be worked with: it lets nothing be transferred.
  case badProperties
  /// Not in this state.
  case wrongState
  /// Every slot is taken: try again after a completion.
  case full
  /// The request is longer than the host takes.
  case tooLarge
}
