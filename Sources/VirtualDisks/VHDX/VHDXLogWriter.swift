// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The writing end of a log that this program owns since it was opened. Called under the commit lock.
///
/// An entry is *applied* when its pages have been written in place, and *settled* when a flush has come after that: then
/// replay does not need it. The newest entry is never overwritten before a newer one is durable, because a log in use
/// must always hold a sound entry; so no entry is longer than half of the log.
struct VHDXLogWriter: Sendable {
  private struct Live {
    var start: UInt64
    var byteCount: UInt64
    var isApplied = false
    var isSettled = false
  }

  let identifier: GUID
  private let range: Range<UInt64>
  private var head: UInt64 = 0
  private var sequenceNumber: UInt64 = 0
  private var live: [Live] = []

  private var byteCount: UInt64 { range.upperBound - range.lowerBound }

  init(identifier: GUID, range: Range<UInt64>) {
    self.identifier = identifier
    self.range = range
  }

  /// Pages that always fit into one entry, once everything before has settled.
  static func capacity(logByteCount: UInt64) -> Int {
    let room = (logByteCount - VHDXFormat.pageByteCount) / 2
    var pages = Int(room / VHDXFormat.pageByteCount)
    while VHDXLogEntryHeader.entryByteCount(pages: pages) > room { pages -= 1 }
    return pages
  }

  func hasRoom(forPages count: Int) -> Bool {
    let used = live.reduce(0) { $0 + $1.byteCount }
    // One sector stays free: a log that is full looks like an empty one.
    return used + VHDXLogEntryHeader.entryByteCount(pages: count) + VHDXFormat.pageByteCount <= byteCount
  }

  /// Writes an entry, without a flush. The caller has made sure of the room. After an error the same place is written
  /// again by the next entry.
  mutating func append(
    _ pages: [VHDXLogPage], flushedFileByteCount: UInt64, lastFileByteCount: UInt64, to store: any ByteStore
  ) throws(StoreError) {
    let length = VHDXLogEntryHeader.entryByteCount(pages: pages.count)
    let header = VHDXLogEntryHeader(
      entryByteCount: UInt32(length), tail: UInt32(live.first { !$0.isSettled }?.start ?? head),
      sequenceNumber: sequenceNumber + 1, descriptorCount: UInt32(pages.count), logIdentifier: identifier,
      flushedFileByteCount: flushedFileByteCount, lastFileByteCount: lastFileByteCount)
    let bytes = header.encoded(with: pages)
    let straight = Int(min(length, byteCount - head))
    if straight == bytes.count {
      try store.write(bytes, at: range.lowerBound + head)
    } else {
      try store.write(Array(bytes[..<straight]), at: range.lowerBound + head)
      try store.write(Array(bytes[straight...]), at: range.lowerBound)
    }
    live.append(Live(start: head, byteCount: length))
    sequenceNumber += 1
    head = (head + length) % byteCount
  }

  /// The pages of every entry have been written in place.
  mutating func markApplied() {
    for index in live.indices { live[index].isApplied = true }
  }

  /// A flush that began after everything so far has ended.
  mutating func markFlushed() {
    for index in live.indices where live[index].isApplied { live[index].isSettled = true }
    let settled = live.prefix { $0.isSettled }.count
    live.removeFirst(min(settled, max(0, live.count - 1)))
  }
}
