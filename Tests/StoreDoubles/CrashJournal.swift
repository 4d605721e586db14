// SPDX-License-Identifier: Apache-2.0

/// Everything done to a store, in order, and the contents that a power failure in between may leave.
public struct CrashJournal: Sendable {
  public enum Step: Sendable {
    case write(offset: UInt64, [UInt8])
    case setByteCount(UInt64)
    case clear(offset: UInt64, count: UInt64)
    case flush

    func apply(to contents: inout SparseBytes) {
      switch self {
      case .write(let offset, let bytes): contents.write(bytes, at: offset)
      case .setByteCount(let count): contents.setByteCount(count)
      case .clear(let offset, let count): contents.clear(at: offset, count: count)
      case .flush: break
      }
    }
  }

  /// What may become of the steps after the last flush.
  public enum Loss: Sendable, CaseIterable {
    /// They are all lost.
    case everything
    /// A prefix of them is there, in order.
    case suffix
    /// Each is there or not, by chance, in order.
    case some
    /// As `some`, in any order.
    case reordered
    /// As `reordered`, and each write split at 512 bytes, of which any subset is there.
    case torn
  }

  private static let atom = 512
  public let start: SparseBytes
  public private(set) var steps: [Step] = []

  init(start: SparseBytes) { self.start = start }

  mutating func append(_ step: Step) { steps.append(step) }

  /// The numbers of steps at which a flush has just returned.
  public var flushBoundaries: [Int] {
    steps.indices.compactMap { if case .flush = steps[$0] { $0 + 1 } else { nil } }
  }

  /// The durable contents after `count` steps, without anything that came after the last flush among them.
  public func durable(after count: Int) -> (contents: SparseBytes, pending: ArraySlice<Step>) {
    var walk = Walk(self)
    walk.advance(to: count)
    return (walk.contents, walk.pending)
  }

  /// What may be found after a failure behind `pending`.
  public static func survivors(
    _ contents: SparseBytes, pending: ArraySlice<Step>, _ loss: Loss, using generator: inout some RandomNumberGenerator
  ) -> SparseBytes {
    var result = contents
    var kept: [Step] = []
    switch loss {
    case .everything: break
    case .suffix: kept = Array(pending.prefix(Int.random(in: 0...pending.count, using: &generator)))
    case .some: for step in pending where Bool.random(using: &generator) { kept.append(step) }
    case .reordered:
      for step in pending where Bool.random(using: &generator) { kept.append(step) }
      kept.shuffle(using: &generator)
    case .torn:
      for step in pending {
        if case .write(let offset, let bytes) = step {
          kept += pieces(offset, bytes).filter { _ in Bool.random(using: &generator) }
        } else if Bool.random(using: &generator) {
          kept.append(step)
        }
      }
      kept.shuffle(using: &generator)
    }
    for step in kept { step.apply(to: &result) }
    return result
  }

  /// A write cut where a disk may cut it: at multiples of 512 bytes of the file.
  private static func pieces(_ offset: UInt64, _ bytes: [UInt8]) -> [Step] {
    var result: [Step] = []
    var done = 0
    while done < bytes.count {
      let place = offset + UInt64(done)
      let count = min(bytes.count - done, atom - Int(place % UInt64(atom)))
      result.append(.write(offset: place, Array(bytes[done..<done + count])))
      done += count
    }
    return result
  }

  /// Goes through a journal once, forwards, keeping the durable contents: for many failure points in one pass.
  public struct Walk {
    private let journal: CrashJournal
    public private(set) var contents: SparseBytes
    private var flushed = 0
    private var position = 0

    public init(_ journal: CrashJournal) {
      self.journal = journal
      contents = journal.start
    }

    public var pending: ArraySlice<Step> { journal.steps[flushed..<position] }

    public mutating func advance(to count: Int) {
      while position < min(count, journal.steps.count) {
        if case .flush = journal.steps[position] {
          for step in journal.steps[flushed..<position] { step.apply(to: &contents) }
          flushed = position + 1
        }
        position += 1
      }
    }
  }
}
