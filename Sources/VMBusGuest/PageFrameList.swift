// SPDX-License-Identifier: Apache-2.0

/// Whole pages that a guest shares, in order.
public protocol PageFrameList: ~Copyable {
  var count: Int { get }
  /// The page frame number (guest physical address / 4096) of page `index`, below `count`.
  func frame(at index: Int) -> UInt64
}
