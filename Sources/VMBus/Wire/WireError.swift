// SPDX-License-Identifier: Apache-2.0

/// A message that ends before a field, or a field whose value its format does not allow.
///
/// The bytes come from the other side of a trust boundary, so this is never a trap. The layer that decodes decides
/// what the peer sees: a dropped message, an error status, a closed channel.
public enum WireError: Error, Equatable, Sendable {
  /// `needed` and `available` count bytes from the start of the span.
  case truncated(needed: Int, available: Int)
  /// The field at byte `offset` holds a value that its format does not allow.
  case invalid(offset: Int)
}
