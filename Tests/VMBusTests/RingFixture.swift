// SPDX-License-Identifier: Apache-2.0

import VMBus

/// Memory for one ring, which the test may scribble over like a hostile peer, and both ends over it.
@safe final class RingFixture {
  let header: UnsafeMutableRawPointer
  let data: UnsafeMutableRawPointer
  let byteCount: Int

  init(byteCount: Int = 4096) {
    self.byteCount = byteCount
    unsafe header = .allocate(byteCount: 4096, alignment: 4096)
    unsafe data = .allocate(byteCount: byteCount, alignment: 4096)
    unsafe data.initializeMemory(as: UInt8.self, repeating: 0xEE, count: byteCount)
    unsafe header.initializeMemory(as: UInt8.self, repeating: 0xEE, count: 4096)
    control.initialize()
  }

  deinit {
    unsafe header.deallocate()
    unsafe data.deallocate()
  }

  var control: RingControl { unsafe RingControl(page: header) }
  var storage: LinearRingStorage { unsafe LinearRingStorage(base: data, byteCount: UInt32(byteCount)) }

  /// Both indices at `index`: an empty ring whose next packet starts there.
  func start(at index: UInt32) {
    self[word: 0] = index
    self[word: 4] = index
  }

  subscript(word offset: Int) -> UInt32 {
    get { unsafe header.load(fromByteOffset: offset, as: UInt32.self) }
    set { unsafe header.storeBytes(of: newValue, toByteOffset: offset, as: UInt32.self) }
  }

  /// `bytes` into the data area, wrapping.
  func poke(_ bytes: [UInt8], at offset: Int) {
    for (index, byte) in bytes.enumerated() {
      unsafe data.storeBytes(of: byte, toByteOffset: (offset + index) % byteCount, as: UInt8.self)
    }
  }

  func peek(at offset: Int, count: Int) -> [UInt8] {
    (0..<count).map { unsafe data.load(fromByteOffset: (offset + $0) % byteCount, as: UInt8.self) }
  }

  func reader() throws -> RingReader<LinearRingStorage> { try RingReader(control: control, storage: storage) }
  func writer() throws -> RingWriter<LinearRingStorage> { try RingWriter(control: control, storage: storage) }
}

/// A packet and the private copy of it.
struct ReceivedPacket: Equatable {
  var packet: Packet
  var bytes: [UInt8]
  var payload: [UInt8] { Array(bytes[packet.payloadOffset...]) }
}

extension RingReader {
  /// The next packet, through a buffer of `capacity` bytes.
  mutating func receive(capacity: Int = 8192) throws -> ReceivedPacket? {
    var buffer = [UInt8](repeating: 0xAA, count: capacity)
    guard let packet = unsafe try buffer.withUnsafeMutableBytes({ unsafe try next(into: $0) }) else { return nil }
    return ReceivedPacket(packet: packet, bytes: Array(buffer[..<packet.byteCount]))
  }
}

extension RingWriter {
  mutating func send(
    _ payload: [UInt8], type: PacketType = .inBand, tail: [UInt8] = [], id: UInt64 = 0, completion: Bool = false
  ) throws(RingError) {
    try write(
      type: type, completionRequested: completion, transactionID: id, descriptorTail: tail.rawSpan,
      payload: payload.rawSpan)
  }
}

extension FixedWidthInteger {
  /// Little-endian bytes.
  var wireBytes: [UInt8] { (0..<Self.bitWidth / 8).map { UInt8(truncatingIfNeeded: self >> (8 * Self($0))) } }
}

extension [UInt8] {
  var rawSpan: RawSpan {
    @_lifetime(borrow self) get { unsafe span.bytes }
  }
}
