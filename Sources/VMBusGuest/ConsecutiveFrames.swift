// SPDX-License-Identifier: Apache-2.0

/// Pages that follow each other in guest physical memory.
public struct ConsecutiveFrames: PageFrameList, Sendable {
  public var first: UInt64
  public var count: Int

  public init(first: UInt64, count: Int) {
    self.first = first
    self.count = count
  }

  public func frame(at index: Int) -> UInt64 { first &+ UInt64(truncatingIfNeeded: index) }
}
