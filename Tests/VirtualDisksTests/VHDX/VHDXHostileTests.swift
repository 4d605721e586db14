// SPDX-License-Identifier: Apache-2.0

import StoreDoubles
import Testing
import VMBus

@testable import VirtualDisks

/// Files that mean harm, or that were harmed: an error that names structure and offset, nothing changed, no trap.
@Suite struct VHDXHostileTests {
  static let log: UInt64 = 1 << 20
  static let metadata: UInt64 = 2 << 20
  static let table: UInt64 = 3 << 20
  static let payload: UInt64 = 4 << 20

  static func image(
    kind: ImageKind = .dynamic, size: UInt64 = 8 << 20, logMegabytes: UInt32 = 1
  ) throws -> SparseBytes {
    let store = CrashStore()
    var creation = VHDXCreation(kind: kind, virtualByteCount: size, blockByteCount: 1 << 20)
    creation.logByteCount = logMegabytes << 20
    if kind == .differencing {
      creation.parent = .init(identifier: GUID(low: 1, high: 2), relativePath: ".\\base.vhdx", absolutePath: nil)
    }
    try VHDXImage.create(creation, in: store)
    return store.contents
  }

  /// Opens both ways; both must refuse in the same words, and leave every byte as it was.
  func refuse(_ contents: SparseBytes, _ structure: String, _ what: String, at offset: UInt64? = nil) throws {
    for readOnly in [true, false] {
      let store = CrashStore(contents, name: "disk.vhdx")
      let error = #expect(throws: ImageError.self) { _ = try VHDXStructure(reading: store, readOnly: readOnly) }
      #expect(store.contents == contents, "a byte has changed")
      guard let error else { continue }
      #expect(error.structure == structure)
      #expect(error.description.contains(what), "\(error)")
      #expect(error.description.hasPrefix("disk.vhdx: "))
      if let offset { #expect(error.offset == offset) }
    }
  }

  func edit(_ contents: inout SparseBytes, at offset: UInt64, count: Int, _ change: (inout [UInt8]) -> Void) throws {
    var bytes = try #require(contents.bytes(at: offset, count: count))
    change(&bytes)
    contents.write(bytes, at: offset)
  }

  /// Changes a header and makes its checksum right again.
  func editHeader(_ contents: inout SparseBytes, _ index: Int, _ change: (inout [UInt8]) -> Void) throws {
    try edit(&contents, at: VHDXFormat.headerOffsets[index], count: 4096) { bytes in
      change(&bytes)
      bytes.setLittle(bytes.checksum(skippingFieldAt: 4), at: 4)
    }
  }

  func editRegions(_ contents: inout SparseBytes, _ change: (inout [UInt8]) -> Void) throws {
    for offset in VHDXFormat.regionTableOffsets {
      try edit(&contents, at: offset, count: 65536) { bytes in
        change(&bytes)
        bytes.setLittle(bytes.checksum(skippingFieldAt: 4), at: 4)
      }
    }
  }

  // MARK: headers

  @Test func `a file that is none, and one that ends early`() throws {
    try refuse(SparseBytes([1, 2, 3]), "file identifier", "ends inside")
    try refuse(SparseBytes([UInt8](repeating: 7, count: 4096)), "file identifier", "no VHDX")
    let whole = try Self.image()
    for count in [8, 4096, 65536, 65536 + 4095, 3 * 65536, 1 << 20, 2 << 20, (2 << 20) + 65536, (3 << 20) + 4095] {
      var cut = whole
      cut.setByteCount(UInt64(count))
      let store = CrashStore(cut)
      #expect(throws: ImageError.self) { _ = try VHDXStructure(reading: store) }
      #expect(store.contents == cut)
    }
  }

  @Test func `both headers bad`() throws {
    var contents = try Self.image()
    for offset in VHDXFormat.headerOffsets { try edit(&contents, at: offset, count: 4096) { $0[100] ^= 1 } }
    try refuse(contents, "headers", "neither", at: 65536)
  }

  @Test func `one header bad: the other counts`() throws {
    for index in [0, 1] {
      var contents = try Self.image()
      try edit(&contents, at: VHDXFormat.headerOffsets[index], count: 4096) { $0[9] ^= 1 }
      _ = try VHDXStructure(reading: CrashStore(contents))
    }
  }

  @Test func `equal sequence numbers: the same header twice is fine, two different ones are not`() throws {
    var contents = try Self.image()
    let first = try #require(contents.bytes(at: 65536, count: 4096))
    contents.write(first, at: 131072)
    _ = try VHDXStructure(reading: CrashStore(contents))
    try editHeader(&contents, 1) { $0[20] ^= 1 }
    try refuse(contents, "headers", "differ", at: 131072)
  }

  @Test func `the greatest sequence number is read, but cannot be written past`() throws {
    var contents = try Self.image()
    try editHeader(&contents, 1) { $0.setLittle(UInt64.max, at: 8) }
    let image = try VHDXImage(opening: CrashStore(contents))
    #expect(try image.bytes(at: 0, count: 512) == [UInt8](repeating: 0, count: 512))
    #expect(throws: ImageError.self) { try image.write([UInt8](repeating: 1, count: 512), at: 0) }
  }

  @Test func `unknown versions`() throws {
    var contents = try Self.image()
    try editHeader(&contents, 1) { $0.setLittle(UInt16(2), at: 66) }
    try refuse(contents, "header", "format version 2", at: 131072)
    contents = try Self.image()
    try editHeader(&contents, 1) { $0.setLittle(UInt16(1), at: 64) }
    try refuse(contents, "header", "log version 1", at: 131072)
  }

  static let logs: [(UInt32, UInt64, String)] = [
    (0, 1 << 20, "no multiple"), (4096, 1 << 20, "no multiple"), (1 << 20, 4096, "not possible"),
    (1 << 20, 0, "not possible"), (1 << 20, 1 << 40, "past the end"), (1 << 30, 1 << 20, "past the end"),
    (3 << 30, 1 << 20, "too large"), (1 << 20, 0xFFFF_FFFF_FFF0_0000, "past the end"),
  ]

  @Test(arguments: logs)
  func `logs of impossible place or length`(_ length: UInt32, _ offset: UInt64, _ what: String) throws {
    var contents = try Self.image()
    try editHeader(&contents, 1) { bytes in
      bytes.setLittle(length, at: 68)
      bytes.setLittle(offset, at: 72)
    }
    try refuse(contents, "header", what, at: 131072)
  }

  @Test func `a log in use without a sound entry`() throws {
    var contents = try Self.image()
    try editHeader(&contents, 1) { $0.setLittle(UInt64(77), at: 48) }
    try refuse(contents, "log", "no entry in it is sound", at: Self.log)
  }

  // MARK: log entries

  /// An image whose log holds one entry with a page for the block table, and what that entry makes of it.
  func imageWithLog(
    offset: UInt64 = table, size: UInt64? = nil, last: UInt64? = nil, change: (inout [UInt8]) -> Void = { _ in }
  ) throws -> SparseBytes {
    var contents = try Self.image()
    contents.setByteCount(Self.payload + (1 << 20))
    let identifier = GUID(low: 5, high: 6)
    try editHeader(&contents, 1) { $0.setGUID(identifier, at: 48) }
    var page = [UInt8](repeating: 0, count: 4096)
    page.setLittle(VHDXBlockEntry(.fullyPresent, at: Self.payload).rawValue, at: 0)
    let header = VHDXLogEntryHeader(
      entryByteCount: 8192, tail: 0, sequenceNumber: 1, descriptorCount: 1, logIdentifier: identifier,
      flushedFileByteCount: size ?? contents.byteCount, lastFileByteCount: last ?? contents.byteCount)
    var entry = header.encoded(with: [VHDXLogPage(offset: offset, bytes: page)])
    change(&entry)
    entry.setLittle(entry.checksum(skippingFieldAt: 4), at: 4)
    contents.write(entry, at: Self.log)
    return contents
  }

  @Test func `a read-only image replays its log in memory`() throws {
    let contents = try imageWithLog()
    let store = CrashStore(contents, isReadOnly: true)
    let image = try VHDXImage(opening: store)
    #expect(try image.extent(at: 0, count: 4096, for: .read).byteCount == 4096)
    #expect(image.information.isReadOnly)
    guard case .file(let place, _) = try image.extent(at: 0, count: 4096, for: .read).place else {
      Issue.record("the log was not replayed")
      return
    }
    #expect(place.directDescriptor == nil)
    #expect(store.contents == contents)
    #expect(throws: ImageError.self) { try image.write([UInt8](repeating: 1, count: 512), at: 0) }
    #expect(throws: ImageError.self) { try image.resize(to: 16 << 20) }
  }

  @Test func `log entries that lead where no metadata is`() throws {
    let places: [UInt64] = [
      0, 65536, 131072, Self.log, Self.log + 4096, 0xFFFF_FFFF_FFFF_F000, 1 << 62, Self.table + 8,
    ]
    for offset in places {
      try refuse(try imageWithLog(offset: offset), "log", "no entry in it is sound")
    }
    try refuse(try imageWithLog(offset: 1 << 40), "log entry", "past the end")
  }

  @Test func `a file that has lost its end since the log was written`() throws {
    try refuse(try imageWithLog(size: 1 << 30), "log entry", "once had 1073741824 bytes")
    try refuse(try imageWithLog(last: 1 << 60), "log entry", "not possible")
  }

  @Test func `the file grows to what the log promises`() throws {
    let store = CrashStore(try imageWithLog(last: 9 << 20))
    _ = try VHDXStructure(reading: store)
    #expect(store.contents.byteCount == 9 << 20)
  }

  @Test func `damaged log entries do not count`() throws {
    let changes: [(inout [UInt8]) -> Void] = [
      { $0.setLittle(UInt32(4096), at: 8) }, { $0.setLittle(UInt32(0), at: 8) }, { $0.setLittle(UInt32.max, at: 8) },
      { $0.setLittle(UInt32(4096), at: 12) }, { $0.setLittle(UInt32.max, at: 12) }, { $0.setLittle(UInt64(0), at: 16) },
      { $0.setLittle(UInt32(2), at: 24) }, { $0.setLittle(UInt32.max, at: 24) }, { $0.setLittle(UInt64(9), at: 32) },
      { $0.setLittle(UInt32(1), at: 64) }, { $0.setLittle(UInt64(2), at: 64 + 24) },
      { $0.setLittle(UInt32(0), at: 4096) }, { $0.setLittle(UInt32(7), at: 8188) },
    ]
    for change in changes { try refuse(try imageWithLog(change: change), "log", "no entry in it is sound") }
  }

  @Test func `a log entry cut anywhere is no entry`() throws {
    let whole = try imageWithLog()
    for sector in 0..<16 {
      var cut = whole
      cut.write([UInt8](repeating: 0xA5, count: 512), at: Self.log + UInt64(sector) * 512)
      #expect(throws: ImageError.self) { _ = try VHDXStructure(reading: CrashStore(cut)) }
    }
  }

  @Test func `a log full of entries that overlap is given up in bounded time`() throws {
    var contents = try Self.image(logMegabytes: 4)
    let identifier = GUID(low: 5, high: 6)
    try editHeader(&contents, 1) { $0.setGUID(identifier, at: 48) }
    let header = VHDXLogEntryHeader(
      entryByteCount: 4 << 20, tail: 0, sequenceNumber: 1, descriptorCount: 0, logIdentifier: identifier,
      flushedFileByteCount: 0, lastFileByteCount: 0)
    let front = Array(header.encoded(with: [])[..<4096])
    for sector in UInt64(0)..<1024 { contents.write(front, at: Self.log + sector * 4096) }
    try refuse(contents, "log", "overlap")
  }

  // MARK: regions

  @Test func `both region tables bad; one bad`() throws {
    var contents = try Self.image()
    try edit(&contents, at: 196608, count: 65536) { $0[20] ^= 1 }
    _ = try VHDXStructure(reading: CrashStore(contents))
    try edit(&contents, at: 262144, count: 65536) { $0[20] ^= 1 }
    try refuse(contents, "region tables", "neither", at: 196608)
  }

  @Test func `regions that overlap, repeat, lie outside or are not known`() throws {
    // Entry 0 is the block table's, entry 1 the metadata's: identifier, offset, length, flags.
    let cases: [(String, String, (inout [UInt8]) -> Void)] = [
      ("region table entry 1", "overlaps", { $0.setLittle(Self.table, at: 16 + 32 + 16) }),
      ("region table entry 0", "overlaps the header section", { $0.setLittle(UInt64(0), at: 16 + 16) }),
      ("region table entry 0", "overlaps the log", { $0.setLittle(Self.log, at: 16 + 16) }),
      ("region table entry 0", "past the end", { $0.setLittle(UInt64(1) << 40, at: 16 + 16) }),
      ("region table entry 0", "past the end", { $0.setLittle(0xFFFF_FFFF_FFF0_0000 as UInt64, at: 16 + 16) }),
      ("region table entry 0", "not a multiple", { $0.setLittle(Self.table + 4096, at: 16 + 16) }),
      ("region table entry 0", "not a multiple", { $0.setLittle(UInt32(0), at: 16 + 24) }),
      ("region table entry 1", "twice", { $0.setGUID(VHDXFormat.blockTableRegion, at: 16 + 32) }),
      ("region table entry 0", "required and not known", { $0.setGUID(GUID(low: 3, high: 4), at: 16) }),
      ("region table", "no metadata", { $0.setLittle(UInt32(1), at: 8) }),
      ("region table", "no block table", { $0.setLittle(UInt32(0), at: 8) }),
      ("region table", "more than 2047", { $0.setLittle(UInt32(2048), at: 8) }),
      ("region table", "more than 2047", { $0.setLittle(UInt32.max, at: 8) }),
    ]
    for (structure, what, change) in cases {
      var contents = try Self.image()
      try editRegions(&contents, change)
      try refuse(contents, structure, what)
    }
  }

  @Test func `an unknown region that is not required is left alone`() throws {
    var contents = try Self.image()
    contents.setByteCount(6 << 20)
    try editRegions(&contents) { bytes in
      bytes.setLittle(UInt32(3), at: 8)
      bytes.setGUID(GUID(low: 3, high: 4), at: 16 + 64)
      bytes.setLittle(UInt64(5) << 20, at: 16 + 64 + 16)
      bytes.setLittle(UInt32(1) << 20, at: 16 + 64 + 24)
    }
    contents.write([UInt8](repeating: 0x5A, count: 4096), at: 5 << 20)
    let store = CrashStore(contents)
    let image = try VHDXImage(opening: store)
    for block in UInt64(0)..<8 { try image.write([UInt8](repeating: 1, count: 4096), at: block << 20) }
    try image.close()
    #expect(store.contents.bytes(at: 5 << 20, count: 4096) == [UInt8](repeating: 0x5A, count: 4096))
  }

  // MARK: metadata

  /// Items in the order of creation: file parameters, size, identifier, logical and physical sector.
  @Test func `metadata that cannot be`() throws {
    let items = Self.metadata + 65536
    let cases: [(String, String, UInt64, [UInt8])] = [
      ("metadata table", "signature", Self.metadata, [1]),
      ("metadata table", "more than 2047", Self.metadata + 10, [0, 8]),
      ("metadata table entry 5", "no identifier", Self.metadata + 10, [6, 0]),
      ("metadata table entry 1", "twice", Self.metadata + 64, Self.bytes(VHDXFormat.fileParametersItem)),
      ("metadata table entry 1", "required and not known", Self.metadata + 64, Self.bytes(GUID(low: 3, high: 4))),
      ("metadata table entry 0", "outside the metadata region", Self.metadata + 32 + 16, [0, 0, 0, 0]),
      ("metadata table entry 0", "outside the metadata region", Self.metadata + 32 + 16, [0xFC, 0xFF, 0x0F, 0]),
      ("metadata table entry 0", "outside the metadata region", Self.metadata + 32 + 16, [0xFF, 0xFF, 0xFF, 0xFF]),
      ("metadata table entry 0", "more than 1 MiB", Self.metadata + 32 + 20, [0xFF, 0xFF, 0xFF, 0xFF]),
      ("metadata table entry 0", "empty item", Self.metadata + 32 + 20, [0, 0, 0, 0]),
      ("metadata table entry 1", "overlaps", Self.metadata + 64 + 16, [4, 0, 1, 0]),
      ("metadata table entry 0", "user's item is marked", Self.metadata + 32 + 24, [5]),
      ("file parameters", "missing", Self.metadata + 32 + 24, [1]),
      ("file parameters", "instead of 8", Self.metadata + 32 + 20, [4]),
      ("metadata", "block size of 0", items, [0, 0, 0, 0]),
      ("metadata", "block size of 3145728", items, [0, 0, 0x30, 0]),
      ("metadata", "block size of 536870912", items, [0, 0, 0, 0x20]),
      ("metadata", "disk of 0 bytes", items + 8, [0, 0, 0, 0, 0, 0, 0, 0]),
      ("metadata", "larger than 64 TiB", items + 8, [0, 2, 0, 0, 0, 0x40, 0, 0]),
      ("metadata", "larger than 64 TiB", items + 8, [0, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
      ("metadata", "does not end with a sector", items + 8, [1, 2]),
      ("metadata", "513", items + 32, [1, 2, 0, 0]),
      ("metadata", "physical sector of 8192", items + 40, [0, 0x20, 0, 0]),
      ("metadata", "fixed disk with a parent", items + 4, [3]),
      ("parent locator", "missing", items + 4, [2]),
      ("block table", "too few", items + 8, [0, 0, 0, 0, 0, 0x40, 0, 0]),
    ]
    for (structure, what, offset, bytes) in cases {
      var contents = try Self.image()
      contents.write(bytes, at: offset)
      try refuse(contents, structure, what)
    }
  }

  static func bytes(_ identifier: GUID) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 16)
    bytes.setGUID(identifier, at: 0)
    return bytes
  }

  // MARK: block table

  @Test func `entries of the block table that cannot be`() throws {
    let cases: [(String, UInt64)] = [
      ("past the end", 1 << 40 | 6), ("past any possible end", 0xFFFF_FFFF_FFF0_0006), ("header section", 6),
      ("in use", Self.log | 6), ("in use", Self.metadata | 6), ("in use", Self.table | 6),
      ("state 4", 4), ("state 5", Self.payload | 5), ("reserved bits", Self.payload | 8 | 6),
      ("reserved bits", 1 << 19),
    ]
    for (what, entry) in cases {
      var contents = try Self.image()
      contents.setByteCount(Self.payload + (2 << 20))
      try edit(&contents, at: Self.table, count: 8) { $0.setLittle(entry, at: 0) }
      try refuse(contents, "block table entry 0", what, at: Self.table)
    }
  }

  @Test func `two blocks at one place`() throws {
    var contents = try Self.image()
    contents.setByteCount(Self.payload + (2 << 20))
    try edit(&contents, at: Self.table, count: 24) { bytes in
      bytes.setLittle(Self.payload | 6, at: 0)
      bytes.setLittle(Self.payload | 6, at: 16)
    }
    try refuse(contents, "block table entry 2", "in use by something else", at: Self.table + 16)
  }

  @Test func `partially present without a sector bitmap, and a bitmap of impossible state`() throws {
    var contents = try Self.image(kind: .differencing)
    contents.setByteCount(contents.byteCount + (2 << 20))
    let place = contents.byteCount - (2 << 20)
    try edit(&contents, at: Self.table, count: 8) { $0.setLittle(place | 7, at: 0) }
    try refuse(contents, "block table entry 0", "without a sector bitmap", at: Self.table)
    // The bitmap's entry comes after the 4096 blocks of 1 MiB that its 2^23 sectors make.
    try edit(&contents, at: Self.table + 4096 * 8, count: 8) { $0.setLittle(UInt64(2), at: 0) }
    try refuse(contents, "block table entry 4096", "not possible for a sector bitmap")
    try edit(&contents, at: Self.table + 4096 * 8, count: 8) { $0.setLittle(place | 6, at: 0) }
    try refuse(contents, "block table entry 4096", "in use")
  }

  @Test func `old places in entries without space are no space`() throws {
    var contents = try Self.image()
    contents.setByteCount(Self.payload + (1 << 20))
    contents.write([UInt8](repeating: 9, count: 4096), at: Self.payload)
    try edit(&contents, at: Self.table, count: 16) { bytes in
      bytes.setLittle(Self.payload | 3, at: 0)
      bytes.setLittle(Self.payload | 1, at: 8)
    }
    let image = try VHDXImage(opening: CrashStore(contents))
    #expect(try image.bytes(at: 0, count: 4096) == [UInt8](repeating: 0, count: 4096))
    try image.write([UInt8](repeating: 1, count: 512), at: 512)
    #expect(try image.bytes(at: 0, count: 512) == [UInt8](repeating: 0, count: 512))
    #expect(try image.bytes(at: 1024, count: 512) == [UInt8](repeating: 0, count: 512))
  }

  // MARK: parent locator

  @Test func `parent locators that cannot be`() throws {
    let sound = VHDXParentLocator(pairs: [
      .init(key: "parent_linkage", value: GUID(low: 1, high: 2).bracedText), .init(key: "relative_path", value: ".\\a"),
    ])
    let store = CrashStore(name: "disk.vhdx")
    func decode(_ bytes: [UInt8]) throws(ImageError) -> VHDXParentLocator {
      try VHDXParentLocator(decoding: bytes, in: store, at: 100)
    }
    let bytes = sound.encoded()
    #expect(try decode(bytes) == sound)
    for count in 0..<bytes.count {
      // Any cut is refused or reads only what is there; it never traps.
      if let cut = try? decode(Array(bytes[..<count])) { #expect(cut == sound) }
    }
    let changes: [(String, (inout [UInt8]) -> Void)] = [
      ("not known", { $0[0] ^= 1 }), ("do not fit", { $0.setLittle(UInt16.max, at: 18) }),
      ("do not fit", { $0.setLittle(UInt16(257), at: 18) }), ("outside", { $0.setLittle(UInt32.max, at: 20) }),
      ("outside", { $0.setLittle(UInt32.max - 3, at: 24) }), ("has 0 bytes", { $0.setLittle(UInt16(0), at: 28) }),
      ("has 27 bytes", { $0.setLittle(UInt16(27), at: 28) }), ("missing", { $0[44] = 0x71 }),
      ("not UTF-16", { $0.setLittle(UInt16(0xD800), at: 44) }), ("not UTF-16", { $0.setLittle(UInt16(0), at: 46) }),
    ]
    for (what, change) in changes {
      var bytes = bytes
      change(&bytes)
      let error = #expect(throws: ImageError.self) { _ = try decode(bytes) }
      #expect(error?.description.contains(what) == true, "\(String(describing: error))")
    }
    let none = VHDXParentLocator(pairs: [sound.pairs[0]])
    #expect(throws: ImageError.self) { _ = try decode(none.encoded()) }
    let twice = VHDXParentLocator(pairs: sound.pairs + sound.pairs)
    #expect(throws: ImageError.self) { _ = try decode(twice.encoded()) }
  }

  @Test func `a parent that is another one, or has other sectors`() throws {
    let structure = try VHDXStructure(reading: CrashStore(try Self.image(kind: .differencing)))
    var parent = try VHDXStructure(reading: CrashStore(try Self.image())).information
    #expect(throws: ImageError.self) { try structure.checkParent(parent) }
    parent.identifier = GUID(low: 1, high: 2)
    try structure.checkParent(parent)
    parent.logicalSectorByteCount = 4096
    #expect(throws: ImageError.self) { try structure.checkParent(parent) }
    // A larger one only shows less of itself.
    parent.logicalSectorByteCount = 512
    parent.virtualByteCount = 1 << 40
    try structure.checkParent(parent)
  }

  // MARK: creation

  @Test func `sizes that cannot be made`() throws {
    let changes: [(inout VHDXCreation) -> Void] = [
      { $0.virtualByteCount = 0 }, { $0.virtualByteCount = 513 }, { $0.virtualByteCount = (64 << 40) + 512 },
      { $0.virtualByteCount = .max }, { $0.blockByteCount = 0 }, { $0.blockByteCount = 3 << 20 },
      { $0.blockByteCount = 512 << 20 }, { $0.logicalSectorByteCount = 0 }, { $0.logicalSectorByteCount = 2048 },
      { $0.physicalSectorByteCount = 1024 }, { $0.logByteCount = 0 }, { $0.logByteCount = 4096 },
      { $0.kind = .differencing }, { $0.parent = .init(identifier: .zero, relativePath: "a", absolutePath: nil) },
    ]
    for change in changes {
      let store = CrashStore()
      var creation = VHDXCreation(kind: .dynamic, virtualByteCount: 1 << 20)
      change(&creation)
      #expect(throws: ImageError.self) { try VHDXImage.create(creation, in: store) }
      #expect(store.contents.byteCount == 0)
    }
    let full = CrashStore(SparseBytes([1]))
    #expect(throws: ImageError.self) { try VHDXImage.create(.init(kind: .dynamic, virtualByteCount: 512), in: full) }
  }

  @Test func `64 TiB in 1 MiB blocks takes little memory and little of the file`() throws {
    let store = CrashStore()
    try VHDXImage.create(.init(kind: .dynamic, virtualByteCount: 64 << 40, blockByteCount: 1 << 20), in: store)
    let image = try VHDXImage(opening: store)
    let last: UInt64 = (64 << 40) - 512
    try image.write([UInt8](repeating: 3, count: 512), at: last)
    try image.close()
    #expect(store.contents.allocatedByteCount < 1 << 20)
    let again = try VHDXImage(opening: store)
    #expect(try again.bytes(at: last, count: 512) == [UInt8](repeating: 3, count: 512))
    #expect(throws: ImageError.self) { try again.bytes(at: last + 512, count: 512) }
    #expect(throws: ImageError.self) { try again.bytes(at: .max - 511, count: 512) }
    #expect(throws: ImageError.self) { try again.discard(at: 512, count: .max - 511) }
    #expect(throws: ImageError.self) { try again.bytes(at: 1, count: 512) }
  }
}
