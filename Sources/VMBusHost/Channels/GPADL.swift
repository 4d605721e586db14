// SPDX-License-Identifier: Apache-2.0

import VMBus

/// Memory that the guest shares with the host, complete and validated: every frame was guest memory.
public struct GPADL: Equatable, Sendable {
  public struct Range: Equatable, Sendable {
    /// Bytes, not 0.
    public var byteCount: Int
    /// Where they begin in the first page, below 4096.
    public var byteOffset: Int
    /// Page frame numbers, exactly as many as the bytes touch.
    public var frames: [UInt64]

    public init(byteCount: Int, byteOffset: Int, frames: [UInt64]) {
      self.byteCount = byteCount
      self.byteOffset = byteOffset
      self.frames = frames
    }
  }

  /// At least one; Linux always makes one.
  public var ranges: [Range]
}
