// SPDX-License-Identifier: Apache-2.0

import LegacyDevices
import VMBus
import VirtualDisks

/// A guest's accesses to the ports of PCI and IDE, with requests that end at any moment. The tables of its bus master are
/// the script's own bytes.
enum IDETarget {
  private static let drives: [IDEPosition: DriveCharacteristics] = [
    .primaryMaster: DriveCharacteristics(
      byteCount: 1 << 20, discardGranularity: 4096, identifier: GUID(low: 1, high: 2)),
    .primarySlave: DriveCharacteristics(byteCount: 3 << 40, isReadOnly: true, identifier: GUID(low: 3, high: 4)),
    .secondaryMaster: .dvd(byteCount: 1 << 20, identifier: GUID(low: 5, high: 6)),
  ]

  /// What a driver writes to; the rest of the ports come by `mostly`.
  private static let ports: [UInt16] = [
    0x1F0, 0x1F1, 0x1F2, 0x1F3, 0x1F4, 0x1F5, 0x1F6, 0x1F7, 0x3F6, 0xFFA0, 0xFFA2, 0xFFA4, 0x170, 0x171, 0x172, 0x173,
    0x174, 0x175, 0x176, 0x177, 0x376, 0xFFA8, 0xFFAA, 0xFFAC, 0xCF8, 0xCFC,
  ]

  static func run(_ script: inout Script) {
    var board = LegacyBoard(drives: drives)
    var waiting: [IDERequest] = []
    var effects: [IDEEffect] = []
    while !script.isEmpty {
      let port = script.mostly(ports[script.choice(ports.count)])
      switch script.choice(8) {
      case 0...3:
        let size = 1 << script.choice(3)
        let bytes = script.take(size * (1 + (script.oneIn(4) ? script.choice(256) : 0)))
        board.write(port, size: size, from: unsafe bytes.span.bytes, &effects)
      case 4...5:
        let size = 1 << script.choice(3)
        var bytes = [UInt8](repeating: 0, count: size * (1 + script.choice(256)))
        unsafe bytes.withUnsafeMutableBytes { buffer in
          var span = unsafe MutableRawSpan(_unsafeBytes: buffer)
          board.read(port, size: size, into: &span, &effects)
        }
      case 6:
        if !waiting.isEmpty {
          let request = waiting.remove(at: script.choice(waiting.count))
          board.complete(request, outcome(request, &script), &effects)
        }
      default: host(&board, &waiting, &effects, &script)
      }
      for case .start(let request) in effects { waiting.append(request) }
      effects.removeAll(keepingCapacity: true)
      precondition(waiting.count <= 4, "more requests than drives")
    }
  }

  private static func outcome(_ request: IDERequest, _ script: inout Script) -> IDEOutcome {
    switch script.choice(8) {
    case 0: return .failed(.readFailed, at: script.mostly(UInt64(512)))
    case 1: return .failed(.writeFailed)
    case 2: return .done([1, 2, 3])
    default: break
    }
    switch request.work {
    case .read(let drive): return .done([UInt8](repeating: 7, count: Int(drive.byteCount)))
    case .direct(let drive, let table): return walk(table, Int(drive.byteCount), &script)
    case .toGuest(let bytes, let table): return walk(table, bytes.count, &script)
    case .fromGuest(let count, _):
      let list = script.take(count)
      return .done(list + [UInt8](repeating: 0, count: count - list.count))
    case .drive, .write: return .done()
    }
  }

  private static func walk(_ table: UInt32, _ count: Int, _ script: inout Script) -> IDEOutcome {
    do throws(DescriptorTable.Fault) {
      let (segments, hasMore) = try DescriptorTable.walk(at: table, byteCount: count) { address in
        address < 1 << 31 ? script.word64() | (script.isEmpty ? 1 << 63 : 0) : nil
      } isMemory: { address, count in
        address < 1 << 31 && UInt64(count) <= 1 << 31 - address
      }
      precondition(segments.reduce(0) { $0 + $1.byteCount } == count, "regions of another size than the transfer")
      return .done(tableHasMore: hasMore)
    } catch { return .table(error) }
  }

  private static func host(
    _ board: inout LegacyBoard, _ waiting: inout [IDERequest], _ effects: inout [IDEEffect], _ script: inout Script
  ) {
    let position = IDEPosition.allCases[script.choice(4)]
    switch script.choice(8) {
    case 0:
      // As its owner does it: what has not ended is forgotten.
      waiting.removeAll { $0.position == position }
      board.setWithheld(script.oneIn(2), position, &effects)
    case 1: board.resize(position, byteCount: UInt64(script.word32()) * 512)
    case 2: board.insertDisc(position, byteCount: UInt64(script.word32()))
    case 3: board.removeDisc(position)
    case 4: _ = board.requestEject(position)
    case 5 where script.oneIn(4):
      waiting = []
      board.reset()
    default: break
    }
  }
}
