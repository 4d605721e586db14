// SPDX-License-Identifier: Apache-2.0

/// The bytes of a file on their way into the guest. The VM pulls; nothing is read from the client before that, so a slow
/// guest slows the client down instead of filling the host's memory.
public struct FileCopySource: Sendable {
  /// Exactly this many bytes come, in all chunks together.
  public let byteCount: UInt64
  /// The next chunk (1 to 65,536 bytes), `nil` after the last. Throws `.cancelled` when the client went away: the copy
  /// must then be cancelled in the guest.
  public let nextChunk: @Sendable () async throws(ControlError) -> [UInt8]?

  public init(byteCount: UInt64, nextChunk: @escaping @Sendable () async throws(ControlError) -> [UInt8]?) {
    self.byteCount = byteCount
    self.nextChunk = nextChunk
  }
}
