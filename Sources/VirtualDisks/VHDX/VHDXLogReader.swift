// SPDX-License-Identifier: Apache-2.0

import VMBus

/// Finds what a log asks for ([MS-VHDX] 2.3.2 and 2.3.3) and does it. Reads sector by sector: a log is as large as the
/// file says. Replay changes only what the entries name, so it may be cut anywhere and done again.
struct VHDXLogReader {
  struct Entry: Equatable {
    /// Byte offset in the log.
    var start: UInt64
    var header: VHDXLogEntryHeader
    var byteCount: UInt64 { UInt64(header.entryByteCount) }
  }

  private let store: any ByteStore
  private let log: Range<UInt64>
  private let identifier: GUID
  private var logByteCount: UInt64 { log.upperBound - log.lowerBound }
  private static let page = VHDXFormat.pageByteCount

  init(_ store: any ByteStore, header: VHDXHeader) {
    self.store = store
    log = header.logRange
    identifier = header.logIdentifier
  }

  /// The entries to replay, oldest first: those from the tail that the newest sound entry with an unbroken way to its tail
  /// names. A log in use always has one.
  func activeSequence() throws(ImageError) -> [Entry] {
    let entries = try soundEntries()
    var byStart: [UInt64: Entry] = [:]
    for entry in entries { byStart[entry.start] = entry }
    // Entries that follow one another without a gap make a run; a run's name is where it begins.
    var run: [UInt64: UInt64] = [:]
    let inOrder = entries.sorted { $0.header.sequenceNumber < $1.header.sequenceNumber }
    for entry in inOrder {
      let name = run[entry.start] ?? entry.start
      run[entry.start] = name
      if let next = byStart[follower(entry)], follows(next, entry) { run[next.start] = name }
    }
    for head in inOrder.reversed() {
      guard let tail = byStart[UInt64(head.header.tail)], run[tail.start] == run[head.start],
        tail.header.sequenceNumber <= head.header.sequenceNumber
      else { continue }
      var sequence = [tail]
      while let last = sequence.last, last != head, let next = byStart[follower(last)], follows(next, last) {
        sequence.append(next)
      }
      if sequence.last == head { return sequence }
    }
    throw store.damaged("log", at: log.lowerBound, "it is in use, but no entry in it is sound")
  }

  private func follower(_ entry: Entry) -> UInt64 { (entry.start + entry.byteCount) % logByteCount }

  private func follows(_ next: Entry, _ entry: Entry) -> Bool {
    next.start != entry.start && next.header.sequenceNumber == entry.header.sequenceNumber &+ 1
  }

  /// Every sound entry. One that is sound cannot contain another; a bound on what is looked at keeps a log made of
  /// overlapping halves of entries from taking for ever.
  private func soundEntries() throws(ImageError) -> [Entry] {
    var result: [Entry] = []
    var budget = 8 * logByteCount
    var start: UInt64 = 0
    while start < logByteCount {
      var next = start + Self.page
      let sector = try sector(start)
      if let header = VHDXLogEntryHeader(decoding: sector, logIdentifier: identifier, logByteCount: logByteCount) {
        let entry = Entry(start: start, header: header)
        guard budget >= entry.byteCount else {
          throw store.damaged("log", at: log.lowerBound + start, "too many of its entries overlap")
        }
        budget -= entry.byteCount
        if try isSound(entry) {
          result.append(entry)
          next = start + entry.byteCount
        }
      }
      start = next
    }
    return result
  }

  /// One sector, at an offset that may pass the end of the log, where it begins again.
  private func sector(_ offset: UInt64) throws(ImageError) -> [UInt8] {
    try store.load("log", at: log.lowerBound + offset % logByteCount, count: Int(Self.page))
  }

  private func isSound(_ entry: Entry) throws(ImageError) -> Bool {
    let front = VHDXLogEntryHeader.frontByteCount(descriptors: entry.header.descriptorCount)
    var crc = CRC32C()
    var dataCount: UInt64 = 0
    var left = Int(entry.header.descriptorCount)
    for offset in stride(from: 0, to: front, by: Int(Self.page)) {
      var bytes = try sector(entry.start + offset)
      if offset == 0 { bytes.setLittle(UInt32(0), at: 4) }
      unsafe bytes.withUnsafeBytes { unsafe crc.add($0) }
      for place in Self.descriptorPlaces(first: offset == 0) where left > 0 {
        left -= 1
        let descriptor = VHDXLogDescriptor(
          decoding: bytes, at: place, sequenceNumber: entry.header.sequenceNumber, log: log)
        guard let descriptor else { return false }
        if case .data = descriptor { dataCount += 1 }
      }
    }
    guard front + dataCount * Self.page == entry.byteCount else { return false }
    for offset in stride(from: front, to: entry.byteCount, by: Int(Self.page)) {
      let bytes = try sector(entry.start + offset)
      guard isData(bytes, entry) else { return false }
      unsafe bytes.withUnsafeBytes { unsafe crc.add($0) }
    }
    return crc.value == entry.header.checksum
  }

  private static func descriptorPlaces(first: Bool) -> StrideTo<Int> {
    stride(from: first ? VHDXLogEntryHeader.byteCount : 0, to: Int(page), by: VHDXLogEntryHeader.descriptorByteCount)
  }

  private func isData(_ bytes: [UInt8], _ entry: Entry) -> Bool {
    bytes.little(UInt32.self, at: 0) == VHDXFormat.dataSectorSignature
      && UInt64(bytes.little(UInt32.self, at: 4)) << 32 | UInt64(bytes.little(UInt32.self, at: Int(Self.page) - 4))
        == entry.header.sequenceNumber
  }

  /// What replay of `sequence` presumes of the file's size; throws when the file has lost its end.
  func requiredByteCount(_ sequence: [Entry]) throws(ImageError) -> UInt64 {
    var required: UInt64 = 0
    let size = try store.size()
    for entry in sequence {
      let place = log.lowerBound + entry.start
      guard entry.header.flushedFileByteCount <= size else {
        throw store.damaged(
          "log entry", at: place, "the file once had \(entry.header.flushedFileByteCount) bytes and now has \(size)")
      }
      guard entry.header.lastFileByteCount <= VHDXFormat.maximumFileByteCount else {
        throw store.damaged("log entry", at: place, "a file of \(entry.header.lastFileByteCount) bytes is not possible")
      }
      required = max(required, entry.header.lastFileByteCount)
    }
    let unit = VHDXFormat.mebibyte
    return (required + unit - 1) / unit * unit
  }

  private enum Change {
    case page(offset: UInt64, bytes: [UInt8])
    case zero(offset: UInt64, byteCount: UInt64)
  }

  /// Applies `sequence` to `target`: the file itself, or an overlay of it. All of it has been looked at before the first
  /// byte changes.
  func replay(_ sequence: [Entry], to target: any ByteStore) throws(ImageError) {
    let required = try requiredByteCount(sequence)
    let size = max(required, try target.size())
    try walk(sequence, size: size) { _ throws(ImageError) in }
    if required > (try target.size()) { try target.resize(to: required) }
    try walk(sequence, size: size) { change throws(ImageError) in
      switch change {
      case .page(let offset, let bytes): try target.save("log replay", bytes, at: offset)
      case .zero(let offset, let byteCount):
        do throws(StoreError) { try target.clear(at: offset, count: byteCount) } catch {
          throw ImageError(error, structure: "log replay")
        }
      }
    }
  }

  /// Every change that the entries make, in order; `size`: the file's, which none may pass.
  private func walk(
    _ sequence: [Entry], size: UInt64, _ body: (Change) throws(ImageError) -> Void
  ) throws(ImageError) {
    for entry in sequence {
      let entryPlace = log.lowerBound + entry.start
      let front = VHDXLogEntryHeader.frontByteCount(descriptors: entry.header.descriptorCount)
      var data = front
      var left = Int(entry.header.descriptorCount)
      for frontOffset in stride(from: 0, to: front, by: Int(Self.page)) {
        let bytes = try sector(entry.start + frontOffset)
        for place in Self.descriptorPlaces(first: frontOffset == 0) where left > 0 {
          left -= 1
          let descriptor = VHDXLogDescriptor(
            decoding: bytes, at: place, sequenceNumber: entry.header.sequenceNumber, log: log)
          switch descriptor {
          case .data(let offset, let leading, let trailing):
            guard offset + Self.page <= size else {
              throw store.damaged("log entry", at: entryPlace, "it changes byte \(offset), past the end of the file")
            }
            var page = try sector(entry.start + data)
            page.setLittle(leading, at: 0)
            page.setLittle(trailing, at: Int(Self.page) - 4)
            data += Self.page
            try body(.page(offset: offset, bytes: page))
          case .zero(let offset, let byteCount):
            let end = min(size, offset + byteCount)
            if offset < end { try body(.zero(offset: offset, byteCount: end - offset)) }
          case nil: throw store.damaged("log entry", at: entryPlace, "it changed while it was read")
          }
        }
      }
    }
  }
}
