// SPDX-License-Identifier: Apache-2.0

import StoreDoubles
import Testing
import VirtualDisks

/// Random operations on an image and on a plain array: both must always read the same.
@Suite struct VHDXModelTests {
  struct Shape: Sendable, CustomTestStringConvertible {
    var kind: ImageKind
    var block: UInt32
    var sector: UInt32
    var testDescription: String { "\(kind.rawValue), blocks of \(block >> 20) MiB, sectors of \(sector)" }
  }

  static let shapes: [Shape] = [
    .init(kind: .dynamic, block: 1 << 20, sector: 512), .init(kind: .dynamic, block: 2 << 20, sector: 4096),
    .init(kind: .fixed, block: 2 << 20, sector: 512), .init(kind: .differencing, block: 1 << 20, sector: 512),
    .init(kind: .differencing, block: 4 << 20, sector: 4096),
  ]

  @Test(arguments: shapes) func `an image and an array stay the same`(_ shape: Shape) throws {
    for seed in 1...2 {
      var trial = try Trial(shape, seed: UInt64(seed))
      for _ in 0..<60 { try trial.step() }
      try trial.compareAll()
    }
  }

  struct Trial {
    private static let startByteCount = 5 << 20 | 3 * 4096
    private let shape: Shape
    private var generator: SeededGenerator
    private let store = CrashStore()
    /// The parent's file: closing an image closes its parent too, so each opening gets its own.
    private var base: CrashStore?
    private var image: VHDXImage
    private var model: [UInt8]

    init(_ shape: Shape, seed: UInt64) throws {
      self.shape = shape
      generator = SeededGenerator(seed)
      model = [UInt8](repeating: 0, count: Self.startByteCount)
      var creation = VHDXCreation(
        kind: shape.kind, virtualByteCount: UInt64(model.count), blockByteCount: shape.block)
      creation.logicalSectorByteCount = shape.sector
      if shape.kind == .differencing {
        let base = CrashStore(name: "base")
        var plain = VHDXCreation(kind: .dynamic, virtualByteCount: UInt64(model.count), blockByteCount: 1 << 20)
        plain.logicalSectorByteCount = shape.sector
        try VHDXImage.create(plain, in: base)
        let image = try VHDXImage(opening: base)
        for _ in 0..<40 {
          let bytes = [UInt8](repeating: .random(in: 1...255, using: &generator), count: 4096 * 8)
          let offset = Int.random(in: 0..<(model.count - bytes.count) / 4096, using: &generator) * 4096
          try image.write(bytes, at: UInt64(offset))
          model.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        }
        try image.close()
        self.base = base
        let opened = try VHDXImage(opening: base, readOnly: true)
        creation.parent = .init(
          identifier: opened.information.identifier!, relativePath: ".\\base.vhdx", absolutePath: nil)
      }
      try VHDXImage.create(creation, in: store)
      image = try Self.open(store, base)
    }

    private static func open(_ store: CrashStore, _ base: CrashStore?, readOnly: Bool = false) throws -> VHDXImage {
      let structure = try VHDXStructure(reading: store, readOnly: readOnly)
      let parent = try base.map { try VHDXImage(opening: $0, readOnly: true) }
      if let parent { try structure.checkParent(parent.information) }
      return try VHDXImage(structure, parent: parent)
    }

    private mutating func range() -> Range<Int> {
      let sector = Int(shape.sector)
      let sectors = model.count / sector
      let start = Int.random(in: 0..<sectors, using: &generator)
      let limit = Bool.random(using: &generator) ? 16 : (1 << 20) / sector
      let count = Int.random(in: 1...limit, using: &generator)
      return start * sector..<min(sectors, start + count) * sector
    }

    mutating func step() throws {
      let range = range()
      let offset = UInt64(range.lowerBound)
      switch Int.random(in: 0..<20, using: &generator) {
      case 0..<7:
        let value = UInt8.random(in: 1...255, using: &generator)
        try image.write([UInt8](repeating: value, count: range.count), at: offset)
        model.replaceSubrange(range, with: [UInt8](repeating: value, count: range.count))
      case 7..<12:
        #expect(try image.bytes(at: offset, count: range.count) == Array(model[range]))
      case 12, 13:
        try image.discard(at: offset, count: UInt64(range.count))
        if shape.kind != .fixed { model.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count)) }
      case 14, 15:
        try image.writeZeroes(at: offset, count: UInt64(range.count))
        model.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
      case 16, 17: try image.flush()
      case 18:
        if Bool.random(using: &generator) {
          try image.close()
          image = try Self.open(store, base)
        } else {
          // As after a crash in which nothing was lost: the log is replayed, in memory or into the file.
          try image.flush()
          let before = store.contents
          let reader = try Self.open(store, base, readOnly: true)
          #expect(try reader.bytes(at: offset, count: range.count) == Array(model[range]))
          try #require(store.contents == before)
          image = try Self.open(store, base)
        }
      default: try resize()
      }
    }

    private mutating func resize() throws {
      let sector = Int(shape.sector)
      let count = Int.random(in: (2 << 20) / sector...(8 << 20) / sector, using: &generator) * sector
      let isAllowed =
        (count >= model.count || Array(model[count...]) == [UInt8](repeating: 0, count: model.count - count))
        && (base == nil || min(count, model.count) >= Self.startByteCount)
      if isAllowed || count == model.count {
        try image.resize(to: UInt64(count))
        if count < model.count {
          model.removeLast(model.count - count)
        } else {
          model += [UInt8](repeating: 0, count: count - model.count)
        }
      } else {
        #expect(throws: ImageError.self) { try image.resize(to: UInt64(count)) }
      }
      #expect(image.information.virtualByteCount == UInt64(model.count))
    }

    func compareAll() throws {
      #expect(try image.bytes(at: 0, count: model.count) == model)
      try image.close()
      let again = try Self.open(store, base, readOnly: true)
      #expect(try again.bytes(at: 0, count: model.count) == model)
    }
  }
}
