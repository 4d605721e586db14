// SPDX-License-Identifier: Apache-2.0

import Glibc
import VirtualDisks

/// An image file of the outer machine as a store of the inner one: every call is a request on the file link, large ones
/// several at once. Errors are those that the file gave there.
final class RemoteStore: ByteStore {
  let name: String
  let isReadOnly: Bool
  private let link: FileLink
  private let number: UInt32

  /// Slots that one call uses at most, so that a large transfer leaves some to others.
  private static let depth = 16

  /// Takes over the file that the outer end knows by `number`; it is closed there with this object.
  init(_ link: FileLink, number: UInt32, name: String, isReadOnly: Bool) {
    self.link = link
    self.number = number
    self.name = name
    self.isReadOnly = isReadOnly
  }

  deinit { _ = try? ask(.close, .open) }

  var directDescriptor: Int32? { nil }

  func byteCount() throws(StoreError) -> UInt64 { try ask(.size, .size) }

  func flush() throws(StoreError) {
    guard !isReadOnly else { return }
    _ = try ask(.flush, .flush)
  }

  func setByteCount(_ count: UInt64) throws(StoreError) { _ = try ask(.resize, .resize, offset: count) }

  func deallocate(at offset: UInt64, count: UInt64) throws(StoreError) {
    _ = try ask(.deallocate, .deallocate, offset: offset, count: count)
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
    let window = link.window
    try transfer(.read, .read, at: offset, count: buffer.count, before: { _, _ in }) { slot, range in
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[range])
      unsafe part.copyMemory(from: UnsafeRawBufferPointer(window.slot(slot, range.count)))
    }
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(StoreError) {
    let window = link.window
    try transfer(.write, .write, at: offset, count: buffer.count) { slot, range in
      unsafe window.slot(slot).copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[range]))
    } after: { _, _ in
    }
  }

  /// A request without data.
  private func ask(
    _ operation: FileOperation, _ meaning: StoreError.Operation, offset: UInt64 = 0, count: UInt64 = 0
  ) throws(StoreError) -> UInt64 {
    let slot = link.takeSlot()
    defer { link.giveBack(slot) }
    link.send([FileRequest(slot: slot, operation, file: number, offset: offset, count: count)])
    return try value(link.wait(for: slot), meaning, offset)
  }

  /// Cuts a range into slots and keeps several of them under way. The first slot is waited for, more are taken as far
  /// as they are free: so no two calls wait for each other. The error is that of the lowest piece that failed; pieces
  /// above it may have been done.
  private func transfer(
    _ operation: FileOperation, _ meaning: StoreError.Operation, at offset: UInt64, count: Int,
    before: (UInt16, Range<Int>) -> Void, after: (UInt16, Range<Int>) -> Void
  ) throws(StoreError) {
    var next = 0
    var underWay: [(slot: UInt16, range: Range<Int>)] = []
    var failure: StoreError?
    while true {
      var requests: [FileRequest] = []
      while failure == nil, next < count, underWay.count < Self.depth {
        guard let slot = underWay.isEmpty ? link.takeSlot() : link.takeFreeSlot() else { break }
        let range = next..<min(count, next + DataWindow.slotSize)
        before(slot, range)
        // Beyond what a file can be the outer end refuses the offset.
        let place = offset.addingReportingOverflow(UInt64(range.lowerBound))
        requests.append(
          FileRequest(
            slot: slot, operation, file: number, offset: place.overflow ? .max : place.partialValue,
            count: UInt64(range.count)))
        underWay.append((slot, range))
        next = range.upperBound
      }
      if !requests.isEmpty { link.send(requests) }
      guard !underWay.isEmpty else { break }
      let (slot, range) = underWay.removeFirst()
      do throws(StoreError) {
        _ = try value(link.wait(for: slot), meaning, offset &+ UInt64(range.lowerBound))
        after(slot, range)
      } catch {
        failure = failure ?? error
      }
      link.giveBack(slot)
    }
    if let failure { throw failure }
  }

  private func value(
    _ answer: FileAnswer.Content?, _ meaning: StoreError.Operation, _ offset: UInt64
  ) throws(StoreError) -> UInt64 {
    switch answer {
    case .value(let value): return value
    case .storeError(let operation, let reason, let offset):
      throw StoreError(name: name, operation: operation, reason: reason, offset: offset)
    case .imageError, nil: throw StoreError(name: name, operation: meaning, reason: FileLink.gone, offset: offset)
    }
  }
}
