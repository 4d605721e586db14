// SPDX-License-Identifier: Apache-2.0

/// What is wrong with the ranges of a GPADL. Each becomes a `BusRefusal`.
enum GPADLError: Error {
  /// The counts contradict each other or the words that came.
  case ranges
  case outsideMemory
  /// As a ring: several ranges, or not whole pages.
  case notPages
  /// As a ring: a half of fewer than two pages.
  case ringOffset

  var refusal: BusRefusal {
    switch self {
    case .ranges: .gpadlRanges
    case .outsideMemory: .gpadlOutsideMemory
    case .notPages: .ringNotPages
    case .ringOffset: .ringOffset
    }
  }
}
