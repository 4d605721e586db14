// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The pair of headers: which one counts, and how to replace it so that a failure leaves one of them sound.
struct VHDXHeaders: Sendable {
  private(set) var current: VHDXHeader
  /// Which of the two places holds `current`.
  private var slot: Int

  /// Reads and checks both; throws unless one of them is sound and usable.
  init(in store: any ByteStore) throws(ImageError) {
    let size = try store.size()
    let identifier = try store.load("file identifier", at: 0, count: 8)
    guard identifier.little(UInt64.self, at: 0) == VHDXFormat.fileSignature else {
      throw store.damaged("file identifier", at: 0, "this is no VHDX file")
    }
    guard size >= VHDXFormat.headerSectionByteCount else {
      throw store.damaged("header section", at: size, "the file ends inside it")
    }
    guard size <= VHDXFormat.maximumFileByteCount else {
      throw store.unsupported("file", "it is larger than \(VHDXFormat.maximumFileByteCount / VHDXFormat.tebibyte) TiB")
    }
    var found: [VHDXHeader?] = []
    for offset in VHDXFormat.headerOffsets {
      found.append(VHDXHeader(decoding: try store.load("header", at: offset, count: VHDXFormat.headerByteCount)))
    }
    switch (found[0], found[1]) {
    case (nil, nil):
      throw store.damaged("headers", at: VHDXFormat.headerOffsets[0], "neither of the two is sound")
    case (let first?, nil): (current, slot) = (first, 0)
    case (nil, let second?): (current, slot) = (second, 1)
    case (let first?, let second?):
      // Some tools write two identical headers; two that differ leave no way to tell which one counts.
      guard first.sequenceNumber != second.sequenceNumber || first == second else {
        throw store.damaged(
          "headers", at: VHDXFormat.headerOffsets[1], "both have the sequence number \(first.sequenceNumber) and differ"
        )
      }
      (current, slot) = first.sequenceNumber >= second.sequenceNumber ? (first, 0) : (second, 1)
    }
    try check(store, size: size)
  }

  /// For a new file; nothing is written.
  init(creating header: VHDXHeader) {
    current = header
    slot = 0
  }

  private func check(_ store: any ByteStore, size: UInt64) throws(ImageError) {
    let offset = VHDXFormat.headerOffsets[slot]
    guard current.version == VHDXFormat.version else {
      throw store.unsupported("header", at: offset, "format version \(current.version) is not known")
    }
    guard current.logVersion == VHDXFormat.logVersion else {
      throw store.unsupported("header", at: offset, "log version \(current.logVersion) is not known")
    }
    let length = UInt64(current.logByteCount)
    guard length > 0, length % VHDXFormat.mebibyte == 0 else {
      throw store.damaged("header", at: offset, "a log of \(length) bytes is no multiple of 1 MiB")
    }
    guard length <= VHDXFormat.maximumLogByteCount else {
      throw store.unsupported("header", at: offset, "a log of \(length) bytes is too large")
    }
    guard current.logOffset % VHDXFormat.mebibyte == 0, current.logOffset >= VHDXFormat.headerSectionByteCount else {
      throw store.damaged("header", at: offset, "the log's place, byte \(current.logOffset), is not possible")
    }
    guard current.logOffset <= size, size - current.logOffset >= length else {
      throw store.damaged("header", at: offset, "the log at byte \(current.logOffset) reaches past the end of the file")
    }
  }

  /// Makes `change` durable: the header that does not count is overwritten with a greater number. Everything written
  /// before is made durable first, so that the new header never speaks of what is not there.
  mutating func update(in store: any ByteStore, _ change: (inout VHDXHeader) -> Void) throws(ImageError) {
    var next = current
    change(&next)
    guard current.sequenceNumber < .max else {
      throw store.damaged("header", at: VHDXFormat.headerOffsets[slot], "its sequence number cannot grow any more")
    }
    next.sequenceNumber += 1
    try store.save("header", next.encoded(), at: VHDXFormat.headerOffsets[1 - slot])
    try store.makeDurable("header")
    (current, slot) = (next, 1 - slot)
  }
}
