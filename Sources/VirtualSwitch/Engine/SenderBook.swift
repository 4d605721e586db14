// SPDX-License-Identifier: Apache-2.0

/// The addresses that one sender has to do with, as they were in the table a moment ago.
struct SenderBook: AddressBook {
  private struct Entry {
    /// VLAN in bits 48…59, address below; bit 63: it was learned, not found. 0: free.
    var key: UInt64 = 0
    var port = PortID(rawValue: 0)
    var changes: UInt64 = 0
    /// From then on the table is asked: it is to know that the address is in use.
    var end: UInt64 = 0
  }

  private static let places = 64
  /// Of the five minutes that the table keeps an address, nanoseconds.
  private static let patience: UInt64 = 1_000_000_000
  private static let learned: UInt64 = 1 << 63

  private let table: AddressTable
  private var entries = [Entry](repeating: Entry(), count: places)

  init(_ table: AddressTable) { self.table = table }

  private static func key(_ address: MACAddress, _ vlan: VLANID) -> UInt64 {
    UInt64(vlan.rawValue) << 48 | address.rawValue
  }

  private static func place(_ key: UInt64) -> Int {
    Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 58) & (places - 1)
  }

  mutating func learn(_ address: MACAddress, in vlan: VLANID, at port: PortID, now: UInt64) -> Bool {
    let key = Self.key(address, vlan) | Self.learned
    let place = Self.place(key)
    // Before the table: what changes in between makes the entry old.
    let changes = table.changes
    let entry = entries[place]
    if entry.key == key, entry.port == port, entry.changes == changes, now < entry.end { return true }
    guard table.withLock({ $0.learn(address, in: vlan, at: port, now: now) }) else { return false }
    entries[place] = Entry(key: key, port: port, changes: changes, end: now &+ Self.patience)
    return true
  }

  mutating func find(_ address: MACAddress, in vlan: VLANID, now: UInt64) -> PortID? {
    let key = Self.key(address, vlan)
    let place = Self.place(key)
    let changes = table.changes
    let entry = entries[place]
    if entry.key == key, entry.changes == changes, now < entry.end { return entry.port }
    guard let port = table.withLock({ $0.find(address, in: vlan, now: now) }) else { return nil }
    entries[place] = Entry(key: key, port: port, changes: changes, end: now &+ Self.patience)
    return port
  }
}
