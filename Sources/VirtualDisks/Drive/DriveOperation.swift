// SPDX-License-Identifier: Apache-2.0

/// What is to be done with a range of a drive's bytes. `buffer` is the requester's memory, most often the guest's.
public enum DriveOperation: Hashable, Sendable {
  /// From the medium into the buffer.
  case read
  /// From the buffer onto the medium. With `forceUnitAccess` it is durable when it ends.
  case write(forceUnitAccess: Bool)
  /// Every write that ended before this one began is durable when it ends. Concerns the whole drive: the range says 0.
  case flush
  /// The contents are no longer needed. Reading gives zeros afterwards when the characteristics promise that.
  case discard
  /// Reading gives zeros afterwards. With `mayUnmap` by giving the space back, where that reads as zeros.
  case writeZeroes(mayUnmap: Bool)
  /// The buffer holds one logical sector, which fills the range. With `mayUnmap`, and when the sector is all zeros, by
  /// giving the space back.
  case writeSame(mayUnmap: Bool)
  /// Whether the medium can be read, without moving anything.
  case verify
  /// Whether the medium holds what the buffer holds: `.miscompare` with the first byte that differs, if not.
  case compare

  /// Whether a read-only drive refuses it.
  @inlinable public var modifies: Bool {
    switch self {
    case .write, .discard, .writeZeroes, .writeSame: true
    case .read, .flush, .verify, .compare: false
    }
  }
}
