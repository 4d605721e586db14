// SPDX-License-Identifier: Apache-2.0

import VMBus

/// Echoes packets from one ring into another, through a buffer, as a driver's channel callback does.
@c(check_ring_echo)
public func checkRingEcho(
  _ incoming: UnsafeMutableRawPointer, _ outgoing: UnsafeMutableRawPointer, _ pageCount: Int,
  _ buffer: UnsafeMutableRawPointer, _ bufferSize: Int
) -> Int32 {
  let size = UInt32(truncatingIfNeeded: (pageCount &- 1) &* 4096)
  let scratch = unsafe UnsafeMutableRawBufferPointer(start: buffer, count: bufferSize)
  do throws(RingError) {
    var reader = try unsafe RingReader(
      control: RingControl(page: incoming), storage: LinearRingStorage(base: incoming + 4096, byteCount: size))
    var writer = try unsafe RingWriter(
      control: RingControl(page: outgoing), storage: LinearRingStorage(base: outgoing + 4096, byteCount: size))
    reader.maskInterrupts()
    while let packet = try unsafe reader.next(into: scratch) {
      let bytes = unsafe RawSpan(_unsafeStart: buffer, byteCount: packet.byteCount)
      try writer.write(
        type: .completion, completionRequested: false, transactionID: packet.transactionID, payload: bytes)
    }
    var signal = reader.commit()
    if writer.commit() { signal = true }
    return reader.unmaskInterrupts() ? 2 : signal ? 1 : 0
  } catch {
    return -5
  }
}
