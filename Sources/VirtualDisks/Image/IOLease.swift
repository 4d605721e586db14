// SPDX-License-Identifier: Apache-2.0

/// A promise to the image that I/O may be under way on extents it has given out. Ends when it is dropped.
///
/// As long as it lives, no block that was in use when it began is reused, punched or cut off. It does not keep the
/// guest from racing with itself: a write to a block that is discarded meanwhile is simply lost.
public struct IOLease: ~Copyable, Sendable {
  private let ledger: LeaseLedger
  private let epoch: UInt64

  init(_ ledger: LeaseLedger, epoch: UInt64) {
    self.ledger = ledger
    self.epoch = epoch
  }

  deinit { ledger.end(epoch) }
}
