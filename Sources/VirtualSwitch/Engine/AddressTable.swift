// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The table of addresses that all senders of a switch share. They keep what they learned and found for a while, and look at
/// `changes`, one word, to know whether that still holds.
final class AddressTable: Sendable {
  private let table: Mutex<MACTable>
  private let published = Atomic<UInt64>(0)

  init(seed: UInt64) {
    table = Mutex(MACTable(capacity: 4096, perPort: 2048, lifetime: 300_000_000_000, seed: seed))
  }

  var changes: UInt64 { published.load(ordering: .acquiring) }

  func withLock<Result: Sendable>(_ body: (inout MACTable) -> Result) -> Result {
    table.withLock { table in
      let before = table.changes
      defer { if table.changes != before { published.store(table.changes, ordering: .releasing) } }
      return body(&table)
    }
  }
}
