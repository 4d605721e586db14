// SPDX-License-Identifier: Apache-2.0

/// Which address was last seen at which port, for each VLAN. A fixed number of places in sets of eight: an address
/// belongs to one set, chosen by a hash with a seed, so that nobody outside can aim at one.
struct MACTable: AddressBook, Sendable {
  private struct Entry: Sendable {
    /// VLAN in bits 48…59, address below. 0: free (zero is no adapter's address).
    var key: UInt64 = 0
    var port = PortID(rawValue: 0)
    /// Nanoseconds.
    var seen: UInt64 = 0
  }

  private static let ways = 8

  private var entries: [Entry]
  /// How often an address went from a port or was forgotten: what was found before may be wrong when this is another number.
  private(set) var changes: UInt64 = 0
  private var counts = InlineArray<64, UInt32>(repeating: 0)
  private let mask: UInt64
  private let seed: UInt64
  let lifetime: UInt64
  let perPort: UInt32

  /// `capacity` is rounded up to a power of two, 64 at least.
  init(capacity: Int, perPort: Int, lifetime: UInt64, seed: UInt64) {
    var sets = 8
    while sets * Self.ways < capacity { sets *= 2 }
    entries = [Entry](repeating: Entry(), count: sets * Self.ways)
    mask = UInt64(sets - 1)
    self.seed = seed | 1
    self.lifetime = lifetime
    self.perPort = UInt32(clamping: perPort)
  }

  var capacity: Int { entries.count }
  var count: Int { counts.indices.reduce(0) { $0 + Int(counts[$1]) } }
  func count(of port: PortID) -> Int { Int(counts[Int(port.rawValue)]) }

  private func key(_ vlan: VLANID, _ address: MACAddress) -> UInt64 { UInt64(vlan.rawValue) << 48 | address.rawValue }

  private func places(of key: UInt64) -> Range<Int> {
    var hash = (key ^ seed) &* 0x9e37_79b9_7f4a_7c15
    hash ^= hash >> 29
    hash = (hash &+ seed) &* 0xbf58_476d_1ce4_e5b9
    hash ^= hash >> 32
    let first = Int(hash & mask) * Self.ways
    return first..<first + Self.ways
  }

  private func isOld(_ entry: Entry, _ now: UInt64) -> Bool { now > entry.seen && now - entry.seen > lifetime }

  func find(_ address: MACAddress, in vlan: VLANID, now: UInt64) -> PortID? {
    // Free entries would look like it.
    guard address != .zero else { return nil }
    let key = key(vlan, address)
    for place in places(of: key) where entries[place].key == key {
      return isOld(entries[place], now) ? nil : entries[place].port
    }
    return nil
  }

  /// False: no room for it, in its set or for this port. Frames to it are then flooded.
  mutating func learn(_ address: MACAddress, in vlan: VLANID, at port: PortID, now: UInt64) -> Bool {
    let key = key(vlan, address)
    var free: Int?
    for place in places(of: key) {
      if entries[place].key == key {
        if entries[place].port != port {
          guard counts[Int(port.rawValue)] < perPort else { return false }
          counts[Int(entries[place].port.rawValue)] &-= 1
          counts[Int(port.rawValue)] &+= 1
          entries[place].port = port
          changes &+= 1
        }
        entries[place].seen = now
        return true
      }
      if free == nil, entries[place].key == 0 || isOld(entries[place], now) { free = place }
    }
    guard let free else { return false }
    // What is old goes first: it may be this port's own.
    forget(free)
    guard counts[Int(port.rawValue)] < perPort else { return false }
    entries[free] = Entry(key: key, port: port, seen: now)
    counts[Int(port.rawValue)] &+= 1
    return true
  }

  private mutating func forget(_ place: Int) {
    guard entries[place].key != 0 else { return }
    counts[Int(entries[place].port.rawValue)] &-= 1
    entries[place].key = 0
    changes &+= 1
  }

  mutating func forget(_ port: PortID) {
    for place in entries.indices where entries[place].key != 0 && entries[place].port == port { forget(place) }
  }

  mutating func forgetOld(now: UInt64) {
    for place in entries.indices where entries[place].key != 0 && isOld(entries[place], now) { forget(place) }
  }

  func all(now: UInt64) -> [LearnedAddress] {
    entries.filter { $0.key != 0 && !isOld($0, now) }.map { entry in
      LearnedAddress(
        address: MACAddress(rawValue: entry.key), vlan: VLANID(rawValue: UInt16(entry.key >> 48)), port: entry.port,
        age: now > entry.seen ? now - entry.seen : 0)
    }
  }
}
