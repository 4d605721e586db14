// SPDX-License-Identifier: Apache-2.0

import CAllocationCount
import CRingPair
import VMBus

/// Which two ends are measured against each other.
enum Side: String, CaseIterable {
  /// Swift writer and reader, contiguous ring, an index published after each packet: what the C ring does, plus the
  /// fences and the look at mask and pending size that the C ring leaves to its callers.
  case swift
  /// The C ring of Linux's tools/hv.
  case c
  /// As `swift`, over scattered pages.
  case paged
  /// As `swift`, an index published after each burst: what our host does.
  case batch
}

/// Packets in flight at once.
let burst = 8
let capacity = 8192

/// The C ring cannot send a length that is not a multiple of 8; it gets the padded one.
func padded(_ size: Int) -> Int { (size + 7) & ~7 }

/// `bursts` bursts of packets of `size` bytes through fresh rings. Returns the allocations made meanwhile.
func run(_ side: Side, size: Int, bursts: Int) throws(RingError) -> (packets: Int, allocations: UInt64) {
  let memory = RingMemory()
  let payload = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 64)
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 64)
  defer {
    unsafe payload.deallocate()
    unsafe buffer.deallocate()
  }
  unsafe payload.initializeMemory(as: UInt8.self, repeating: 0x5A)
  unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
  let bytes = unsafe UnsafeRawBufferPointer(rebasing: payload[..<size])
  var received = 0
  let before: UInt64
  switch side {
  case .swift, .batch:
    var writer = try RingWriter(control: memory.control, storage: memory.linear)
    var reader = try RingReader(control: memory.control, storage: memory.linear)
    before = allocation_count()
    received =
      side == .swift
      ? unsafe try swiftPair(&writer, &reader, bytes, buffer, bursts)
      : unsafe try swiftBatchPair(&writer, &reader, bytes, buffer, bursts)
  case .paged:
    var writer = try RingWriter(control: memory.control, storage: memory.paged)
    var reader = try RingReader(control: memory.control, storage: memory.paged)
    before = allocation_count()
    received = unsafe try swiftPair(&writer, &reader, bytes, buffer, bursts)
  case .c:
    var writer = unsafe memory.cRing()
    var reader = unsafe memory.cRing()
    before = allocation_count()
    received = unsafe Int(
      c_ring_pair(
        &writer, &reader, bytes.baseAddress, UInt32(padded(size)), buffer.baseAddress, UInt32(capacity),
        UInt64(bursts), UInt32(burst)))
  }
  let allocations = allocation_count() - before
  precondition(received == bursts * burst, "\(side) lost packets of \(size) bytes: \(received) of \(bursts * burst)")
  return (received, allocations)
}

@inline(never)
func swiftPair<Storage: RingStorage>(
  _ writer: inout RingWriter<Storage>, _ reader: inout RingReader<Storage>, _ payload: UnsafeRawBufferPointer,
  _ buffer: UnsafeMutableRawBufferPointer, _ bursts: Int
) throws(RingError) -> Int {
  var received = 0
  var signals = 0
  let payload = unsafe payload.bytes
  for _ in 0..<bursts {
    for _ in 0..<burst {
      try writer.write(type: .inBand, completionRequested: false, transactionID: .max, payload: payload)
      if writer.commit() { signals &+= 1 }
    }
    for _ in 0..<burst {
      guard unsafe try reader.next(into: buffer) != nil else { return received }
      if reader.commit() { signals &+= 1 }
      received &+= 1
    }
  }
  return signals == bursts ? received : 0
}

@inline(never)
func swiftBatchPair<Storage: RingStorage>(
  _ writer: inout RingWriter<Storage>, _ reader: inout RingReader<Storage>, _ payload: UnsafeRawBufferPointer,
  _ buffer: UnsafeMutableRawBufferPointer, _ bursts: Int
) throws(RingError) -> Int {
  var received = 0
  var signals = 0
  let payload = unsafe payload.bytes
  for _ in 0..<bursts {
    for _ in 0..<burst {
      try writer.write(type: .inBand, completionRequested: false, transactionID: .max, payload: payload)
    }
    if writer.commit() { signals &+= 1 }
    while unsafe try reader.next(into: buffer) != nil { received &+= 1 }
    if reader.commit() { signals &+= 1 }
  }
  return signals == bursts ? received : 0
}
