// SPDX-License-Identifier: Apache-2.0

import CRingPair
import VMBus

/// Each half of ours against the other half of the C ring, packet contents compared byte for byte.
struct Interoperability {
  /// Packets each way, and what was wrong with the first bad one.
  var packets = 0
  var failure: String?

  static let sizes = [16, 48, 256, 1504, 4096]

  /// The bytes of packet `number`: different ones at every position and in every packet.
  static func content(_ number: Int, _ size: Int) -> [UInt8] {
    (0..<size).map { UInt8(truncatingIfNeeded: number &* 31 &+ $0 &* 7 &+ $0 >> 8) }
  }

  /// Swift writes through `storage`, C reads.
  static func swiftToC(_ memory: RingMemory, _ storage: some RingStorage, packets: Int) throws -> Interoperability {
    var result = Interoperability()
    var writer = try RingWriter(control: memory.control, storage: storage)
    var reader = unsafe memory.cRing()
    var buffer = [UInt8](repeating: 0, count: capacity)
    for number in 0..<packets {
      let size = sizes[number % sizes.count]
      let payload = content(number, size)
      try unsafe writer.write(
        type: .inBand, completionRequested: false, transactionID: UInt64(number), payload: payload.span.bytes)
      _ = writer.commit()
      let count = unsafe buffer.withUnsafeMutableBytes {
        unsafe c_ring_receive(&reader, $0.baseAddress, UInt32($0.count))
      }
      guard count == size + 24, Array(buffer[16..<16 + size]) == payload,
        try unsafe buffer.span.bytes.read(UInt64.self, at: 8) == UInt64(number)
      else {
        result.failure = "packet \(number) of \(size) bytes: C read \(count)"
        return result
      }
      result.packets += 1
    }
    return result
  }

  /// C writes, Swift reads through `storage`.
  static func cToSwift(_ memory: RingMemory, _ storage: some RingStorage, packets: Int) throws -> Interoperability {
    var result = Interoperability()
    var writer = unsafe memory.cRing()
    var reader = try RingReader(control: memory.control, storage: storage)
    var buffer = [UInt8](repeating: 0, count: capacity)
    for number in 0..<packets {
      let size = sizes[number % sizes.count]
      let payload = content(number, size)
      let status = unsafe payload.withUnsafeBytes { unsafe c_ring_send(&writer, $0.baseAddress, UInt32($0.count)) }
      let packet = unsafe try buffer.withUnsafeMutableBytes { unsafe try reader.next(into: $0) }
      _ = reader.commit()
      guard status == 0, let packet, packet.type == .inBand, packet.transactionID == .max, packet.payloadOffset == 16,
        Array(buffer[16..<packet.byteCount]) == payload
      else {
        result.failure =
          "packet \(number) of \(size) bytes: C wrote \(status), Swift read \(String(describing: packet))"
        return result
      }
      result.packets += 1
    }
    return result
  }

  /// All four combinations, by name.
  static func all(packets: Int) throws -> [(name: String, result: Interoperability)] {
    var results: [(name: String, result: Interoperability)] = []
    var memory = RingMemory()
    results.append(("Swift to C", try swiftToC(memory, memory.linear, packets: packets)))
    memory = RingMemory()
    results.append(("Swift to C, scattered pages", try swiftToC(memory, memory.paged, packets: packets)))
    memory = RingMemory()
    results.append(("C to Swift", try cToSwift(memory, memory.linear, packets: packets)))
    memory = RingMemory()
    results.append(("C to Swift, scattered pages", try cToSwift(memory, memory.paged, packets: packets)))
    return results
  }
}
