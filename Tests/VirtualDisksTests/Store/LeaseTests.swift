// SPDX-License-Identifier: Apache-2.0

import Testing
import VirtualDisks

@Suite struct LeaseTests {
  @Test func `an epoch ends with its last lease, and not before the ones ahead of it`() {
    let ledger = LeaseLedger()
    #expect(ledger.hasEnded(ledger.advance()))
    let first = ledger.begin()
    let a = ledger.advance()
    let second = ledger.begin()
    let b = ledger.advance()
    _ = consume second
    #expect(!ledger.hasEnded(a) && !ledger.hasEnded(b))
    _ = consume first
    #expect(ledger.hasEnded(a) && ledger.hasEnded(b))
  }
}
