// SPDX-License-Identifier: Apache-2.0

/// How a request ended.
public enum DriveResult: Hashable, Sendable {
  case success
  /// `at` is the first byte of the drive that it failed at, where that is known.
  case failure(DriveFailure, at: UInt64? = nil)
}

/// Why a request failed, as far as it makes a difference to a guest.
public enum DriveFailure: Error, Hashable, Sendable {
  /// The range does not lie inside the drive (any more).
  case outOfRange
  case readFailed
  /// Also: a flush that failed. What was written may or may not be there.
  case writeFailed
  /// No room on the host, and the machine does not wait for some.
  case noSpace
  case readOnly
  /// The medium was taken out.
  case mediumAbsent
  case miscompare
  /// Given up on demand, for a reset or since the drive was removed; nothing uses the buffer any more.
  case cancelled
  /// The buffer is not (all of it) memory that the guest has.
  case badBuffer
  /// The back end itself is broken.
  case broken
}
