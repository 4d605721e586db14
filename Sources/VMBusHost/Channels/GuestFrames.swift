// SPDX-License-Identifier: Apache-2.0

/// The page frame numbers that are guest memory: two or three ranges, so a walk is the fastest look-up.
struct GuestFrames: Sendable {
  private var ranges: [Range<UInt64>]

  init(_ ranges: [Range<UInt64>]) { self.ranges = ranges }

  func contains(_ frame: UInt64) -> Bool {
    for range in ranges where range.contains(frame) { return true }
    return false
  }

  mutating func add(_ range: Range<UInt64>) { ranges.append(range) }
}
