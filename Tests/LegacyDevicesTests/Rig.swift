// SPDX-License-Identifier: Apache-2.0

import LegacyDevices
import VMBus
import VirtualDisks

/// A board with drives in memory, and a guest's hands on its ports. Requests are carried out at once, or when `run` is
/// called.
struct Rig {
  static let memoryBytes = 4 << 20
  /// Each sector is another one. Made once: the tests make many rigs.
  private static let pattern = (0..<2 << 20).map { UInt8(truncatingIfNeeded: $0 / 512 &* 7 &+ $0 % 512) }
  static let table: UInt32 = 0x1_0000
  static let buffer: UInt32 = 0x10_0000

  var board: LegacyBoard
  var memory = [UInt8](repeating: 0, count: memoryBytes)
  var media: [IDEPosition: [UInt8]]
  var waiting: [IDERequest] = []
  var isImmediate = true
  /// Fails the next request.
  var failure: (DriveFailure, UInt64?)?
  var rises = [0, 0]
  var lines = [false, false]
  var performed: [IDERequest.Work] = []
  var ejected: [IDEPosition] = []
  var busMasterMoves: [UInt16?] = []
  var accesses = 0
  var batchedAccesses = 0

  static func disk(_ bytes: Int = 1 << 20, readOnly: Bool = false, cache: Bool = true) -> DriveCharacteristics {
    DriveCharacteristics(
      byteCount: UInt64(bytes), physicalSectorSize: 4096, isReadOnly: readOnly, hasWriteCache: cache,
      discardGranularity: 4096, serialNumber: "0123456789", identifier: GUID(low: 1, high: 2))
  }

  /// A disk as primary master, a DVD drive with a disc as secondary master.
  init(
    _ drives: [IDEPosition: DriveCharacteristics] = [
      .primaryMaster: disk(), .secondaryMaster: .dvd(byteCount: 1 << 20, identifier: GUID(low: 3, high: 4)),
    ]
  ) {
    board = LegacyBoard(drives: drives)
    // Nobody looks at the contents of a disk that is larger than the pattern.
    media = drives.mapValues { Self.pattern.count >= $0.byteCount ? Array(Self.pattern.prefix(Int($0.byteCount))) : [] }
  }

  // MARK: ports

  mutating func output(_ port: UInt16, _ values: [UInt8], size: Int = 1) {
    accesses += 1
    if board.batchablePorts.contains(where: { port >= $0.base && Int(port) + size <= Int($0.base + $0.count) }) {
      batchedAccesses += 1
    }
    var effects: [IDEEffect] = []
    board.write(port, size: size, from: unsafe values.span.bytes, &effects)
    take(effects)
  }

  mutating func input(_ port: UInt16, size: Int = 1, count: Int = 1) -> [UInt8] {
    accesses += 1
    var bytes = [UInt8](repeating: 0xA5, count: size * count)
    var effects: [IDEEffect] = []
    unsafe bytes.withUnsafeMutableBytes { buffer in
      var span = unsafe MutableRawSpan(_unsafeBytes: buffer)
      board.read(port, size: size, into: &span, &effects)
    }
    take(effects)
    return bytes
  }

  mutating func out(_ port: UInt16, _ value: UInt8) { output(port, [value]) }
  mutating func out32(_ port: UInt16, _ value: UInt32) {
    output(port, (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32($0 * 8)) }, size: 4)
  }
  mutating func in8(_ port: UInt16) -> UInt8 { input(port)[0] }
  mutating func in32(_ port: UInt16) -> UInt32 {
    input(port, size: 4).enumerated().reduce(0) { $0 | UInt32($1.element) << UInt32($1.offset * 8) }
  }

  mutating func configuration(_ register: UInt32, _ value: UInt32) {
    out32(0xCF8, 0x8000_3900 | register)
    out32(0xCFC, value)
  }
  mutating func configuration(_ register: UInt32) -> UInt32 {
    out32(0xCF8, 0x8000_3900 | register)
    return in32(0xCFC)
  }

  // MARK: the back end

  private mutating func take(_ effects: [IDEEffect]) {
    for effect in effects {
      switch effect {
      case .start(let request): waiting.append(request)
      case .interrupt(let channel, let level):
        if level { rises[channel] += 1 }
        lines[channel] = level
      case .ejected(let position): ejected.append(position)
      case .busMasterPorts(let port): busMasterMoves.append(port)
      case .configured: break
      }
    }
    if isImmediate { run() }
  }

  mutating func run() {
    while !waiting.isEmpty { runFirst() }
  }

  mutating func runFirst() {
    let request = waiting.removeFirst()
    finish(request, perform(request))
  }

  mutating func finish(_ request: IDERequest, _ outcome: IDEOutcome) {
    var effects: [IDEEffect] = []
    board.complete(request, outcome, &effects)
    take(effects)
  }

  private mutating func perform(_ request: IDERequest) -> IDEOutcome {
    performed.append(request.work)
    if let (failure, at) = failure {
      self.failure = nil
      return .failed(failure, at: at)
    }
    do throws(DescriptorTable.Fault) {
      switch request.work {
      case .drive: return .done()
      case .read(let drive): return .done(medium(request, drive))
      case .write(let drive, let bytes):
        store(bytes, request, drive)
        return .done()
      case .direct(let drive, let table):
        let (segments, hasMore) = try walk(table, Int(drive.byteCount))
        if drive.operation == .read {
          scatter(medium(request, drive), segments)
        } else {
          store(gather(segments), request, drive)
        }
        return .done(tableHasMore: hasMore)
      case .toGuest(let bytes, let table):
        let (segments, hasMore) = try walk(table, bytes.count)
        scatter(bytes, segments)
        return .done(tableHasMore: hasMore)
      case .fromGuest(let count, let table):
        let (segments, hasMore) = try walk(table, count)
        return .done(gather(segments), tableHasMore: hasMore)
      }
    } catch { return .table(error) }
  }

  private func medium(_ request: IDERequest, _ drive: DriveRequest) -> [UInt8] {
    let bytes = media[request.position] ?? []
    let start = Int(drive.byteOffset)
    guard start + Int(drive.byteCount) <= bytes.count else { return [UInt8](repeating: 0, count: Int(drive.byteCount)) }
    return Array(bytes[start..<start + Int(drive.byteCount)])
  }

  private mutating func store(_ bytes: [UInt8], _ request: IDERequest, _ drive: DriveRequest) {
    let start = Int(drive.byteOffset)
    guard let size = media[request.position]?.count, start + bytes.count <= size else { return }
    media[request.position]?.replaceSubrange(start..<start + bytes.count, with: bytes)
  }

  func walk(
    _ table: UInt32, _ count: Int
  ) throws(DescriptorTable.Fault) -> (segments: [DescriptorTable.Segment], hasMore: Bool) {
    try DescriptorTable.walk(at: table, byteCount: count) { address in
      guard address + 8 <= UInt64(memory.count) else { return nil }
      return (0..<8).reduce(UInt64(0)) { $0 | UInt64(memory[Int(address) + $1]) << UInt64($1 * 8) }
    } isMemory: { address, count in
      address <= UInt64(memory.count) && UInt64(count) <= UInt64(memory.count) - address
    }
  }

  private mutating func scatter(_ bytes: [UInt8], _ segments: [DescriptorTable.Segment]) {
    var done = 0
    for segment in segments {
      memory.replaceSubrange(
        Int(segment.address)..<Int(segment.address) + segment.byteCount, with: bytes[done..<done + segment.byteCount])
      done += segment.byteCount
    }
  }

  private func gather(_ segments: [DescriptorTable.Segment]) -> [UInt8] {
    segments.flatMap { memory[Int($0.address)..<Int($0.address) + $0.byteCount] }
  }

  // MARK: bus master tables

  /// Writes a table; the last entry gets its mark unless told otherwise. Count 0 means 64 KiB.
  mutating func putTable(_ entries: [(address: UInt32, count: UInt16)], terminated: Bool = true, at: UInt32 = table) {
    for (index, entry) in entries.enumerated() {
      let isLast = terminated && index == entries.count - 1
      let word = UInt64(entry.address) | UInt64(entry.count) << 32 | (isLast ? 1 << 63 : 0)
      for byte in 0..<8 {
        memory[Int(at) + index * 8 + byte] = UInt8(truncatingIfNeeded: word >> UInt64(byte * 8))
      }
    }
  }

  func sector(_ number: Int, _ position: IDEPosition = .primaryMaster, count: Int = 1) -> [UInt8] {
    Array(media[position]?[number * 512..<(number + count) * 512] ?? [])
  }
}
