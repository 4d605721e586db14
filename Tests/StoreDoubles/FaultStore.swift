// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization
import VirtualDisks

/// Passes everything on to another store, except what it was told to spoil.
public final class FaultStore: ByteStore {
  public enum Effect: Sendable {
    case fail(StoreError.Reason)
    /// The first `count` bytes are transferred, then it fails.
    case partial(count: Int, StoreError.Reason)
    case delay(milliseconds: UInt32)
  }

  /// One fault: where, on what, and how often.
  public struct Fault: Sendable {
    public var operation: StoreError.Operation
    /// Nil: anywhere (and for operations without a place).
    public var range: Range<UInt64>?
    /// This many matching operations pass first.
    public var skip: Int
    /// Then this many are spoiled.
    public var times: Int
    public var effect: Effect

    public init(
      _ operation: StoreError.Operation, in range: Range<UInt64>? = nil, skip: Int = 0, times: Int = .max,
      _ effect: Effect
    ) {
      self.operation = operation
      self.range = range
      self.skip = skip
      self.times = times
      self.effect = effect
    }
  }

  private let base: any ByteStore
  private let faults = Mutex<[Fault]>([])

  public init(_ base: any ByteStore) { self.base = base }

  public func add(_ fault: Fault) { faults.withLock { $0.append(fault) } }
  public func clear() { faults.withLock { $0.removeAll() } }

  public var name: String { base.name }
  public var isReadOnly: Bool { base.isReadOnly }
  /// None: a descriptor would lead past the faults.
  public var directDescriptor: Int32? { nil }

  public func byteCount() throws(StoreError) -> UInt64 {
    try meet(.size, nil)
    return try base.byteCount()
  }

  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
    if let (part, reason) = try meet(.read, offset, count: buffer.count) {
      try unsafe base.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<part]))
      throw StoreError(name: name, operation: .read, reason: reason, offset: offset + UInt64(part))
    }
    try unsafe base.read(at: offset, into: buffer)
  }

  public func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(StoreError) {
    if let (part, reason) = try meet(.write, offset, count: buffer.count) {
      try unsafe base.write(at: offset, from: UnsafeRawBufferPointer(rebasing: buffer[..<part]))
      throw StoreError(name: name, operation: .write, reason: reason, offset: offset + UInt64(part))
    }
    try unsafe base.write(at: offset, from: buffer)
  }

  public func flush() throws(StoreError) {
    try meet(.flush, nil)
    try base.flush()
  }

  public func setByteCount(_ count: UInt64) throws(StoreError) {
    try meet(.resize, count, count: 1)
    try base.setByteCount(count)
  }

  public func deallocate(at offset: UInt64, count: UInt64) throws(StoreError) {
    try meet(.deallocate, offset, count: Int(count))
    try base.deallocate(at: offset, count: count)
  }

  /// Throws, waits, or says how much of a transfer to let through; nil lets all of it through.
  @discardableResult
  private func meet(
    _ operation: StoreError.Operation, _ offset: UInt64?, count: Int = 0
  ) throws(StoreError) -> (count: Int, StoreError.Reason)? {
    let effect = faults.withLock { faults -> Effect? in
      for index in faults.indices where faults[index].operation == operation && faults[index].times > 0 {
        if let range = faults[index].range, let offset {
          guard range.overlaps(offset..<offset + UInt64(max(1, count))) else { continue }
        }
        if faults[index].skip > 0 {
          faults[index].skip -= 1
          continue
        }
        if faults[index].times != .max { faults[index].times -= 1 }
        return faults[index].effect
      }
      return nil
    }
    switch effect {
    case nil: return nil
    case .fail(let reason): throw StoreError(name: name, operation: operation, reason: reason, offset: offset)
    case .partial(let part, let reason): return (min(part, count), reason)
    case .delay(let milliseconds):
      usleep(milliseconds * 1000)
      return nil
    }
  }
}
