// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

// What the guest sends.

extension NetworkChannel {
  /// The next frame of a batch; false: no more. `packet` is the private copy that the batch was made from. Frames that
  /// make no sense are counted and left out, and the batch ends with an error.
  @inlinable
  public mutating func nextFrame<Memory: NetworkMemory & ~Copyable>(
    of batch: inout TransmitBatch, into frame: inout TransmitFrame, in packet: RawSpan, memory: borrowing Memory
  ) -> Bool {
    while batch.left > 0 {
      batch.frames &+= 1
      guard batch.frames <= TransmitBatch.maximumFrames,
        let isSound = parse(&batch, into: &frame, in: packet, memory: memory)
      else {
        // Where the next message begins is not known.
        batch.left = 0
        countMalformed(&batch)
        return false
      }
      if isSound {
        countFrame(frame.byteCount)
        return true
      }
      countError(&batch)
    }
    return false
  }

  @usableFromInline
  mutating func countFrame(_ byteCount: Int) {
    counters.transmittedFrames &+= 1
    counters.transmittedBytes &+= UInt64(byteCount)
  }

  @usableFromInline
  mutating func countMalformed(_ batch: inout TransmitBatch) {
    counters.malformed &+= 1
    batch.status = .invalidPacket
  }

  @usableFromInline
  mutating func countError(_ batch: inout TransmitBatch) {
    counters.transmitErrors &+= 1
    batch.status = .invalidPacket
  }

  /// nil: what is there is not a message, or not memory. False: a message with a frame that cannot be sent.
  @inlinable
  mutating func parse<Memory: NetworkMemory & ~Copyable>(
    _ batch: inout TransmitBatch, into frame: inout TransmitFrame, in packet: RawSpan, memory: borrowing Memory
  ) -> Bool? {
    guard batch.left >= UInt64(RNDISPacket.wireSize) else { return nil }
    var cursor = batch.cursor
    guard copy(&cursor, RNDISPacket.wireSize, into: &frame, at: 0, in: packet, memory: memory),
      let message = frame.message(available: batch.left)
    else { return nil }
    var place = RNDISPacket.wireSize
    var information = PacketInformation()
    if message.informationByteCount > 0 {
      let count = Int(message.informationByteCount)
      guard count <= PacketInformation.maximumBytes else { return nil }
      if message.informationPlace != place {
        cursor = batch.cursor
        guard skip(&cursor, message.informationPlace, in: packet) else { return nil }
      }
      guard copy(&cursor, count, into: &frame, at: 0, in: packet, memory: memory),
        let records = frame.information(count)
      else { return nil }
      information = records
      place = message.informationPlace &+ count
    }
    if message.dataPlace < place {
      cursor = batch.cursor
      place = 0
    }
    guard skip(&cursor, message.dataPlace &- place, in: packet) else { return nil }
    // The next message.
    batch.left &-= UInt64(message.byteCount)
    if batch.left > 0 { guard skip(&batch.cursor, Int(message.byteCount), in: packet) else { return nil } }

    frame.begin(byteCount: Int(message.dataByteCount), information)
    guard frame.byteCount >= NetworkAdapter.frameHeaderSize, frame.byteCount <= 65535 &+ 22 else { return false }
    guard
      extend(&frame, to: min(frame.byteCount, TransmitFrame.headerCopy), &cursor, in: packet, memory: memory)
    else { return nil }
    frame.look()
    var needed = frame.resolve(information, mtu: settings.mtu)
    if needed > frame.headerByteCount {
      guard extend(&frame, to: needed, &cursor, in: packet, memory: memory) else { return nil }
      frame.look()
      needed = frame.resolve(information, mtu: settings.mtu)
    }
    frame.rest = cursor
    return needed >= 0 && needed <= frame.headerByteCount
  }

  @inlinable
  func extend<Memory: NetworkMemory & ~Copyable>(
    _ frame: inout TransmitFrame, to count: Int, _ cursor: inout TransmitCursor, in packet: RawSpan,
    memory: borrowing Memory
  ) -> Bool {
    let more = count &- frame.headerByteCount
    guard copy(&cursor, more, into: &frame, at: frame.headerByteCount, in: packet, memory: memory) else { return false }
    frame.extended(to: count)
    return true
  }

  /// The next run of a frame's bytes behind its header; nil: no more. `packet` is the copy that the frame's batch was made
  /// from. Whether the guest has memory there is the memory's business.
  @inlinable
  public func nextSegment(of frame: inout TransmitFrame, in packet: RawSpan) -> GPASegment? {
    guard frame.remaining > 0 else { return nil }
    do throws(RingError) {
      guard let segment = try frame.rest.next(UInt64(frame.remaining), sendBuffer, in: packet) else { return nil }
      frame.remaining &-= Int(segment.byteCount)
      return segment
    } catch {
      return nil
    }
  }

  @usableFromInline var sendBuffer: NetworkBuffer? { settings.send?.buffer }

  /// False: that many bytes are not there.
  @inlinable
  func skip(_ cursor: inout TransmitCursor, _ count: Int, in packet: RawSpan) -> Bool {
    var left = UInt64(count)
    do throws(RingError) {
      while left > 0 {
        guard let segment = try cursor.next(left, sendBuffer, in: packet) else { return false }
        left &-= segment.byteCount
      }
      return true
    } catch {
      return false
    }
  }

  @inlinable
  func copy<Memory: NetworkMemory & ~Copyable>(
    _ cursor: inout TransmitCursor, _ count: Int, into frame: inout TransmitFrame, at offset: Int, in packet: RawSpan,
    memory: borrowing Memory
  ) -> Bool {
    var words = frame.words.mutableSpan
    var bytes = unsafe words.mutableBytes
    var target = bytes._mutatingExtracting(droppingFirst: offset)
    var part = target._mutatingExtracting(first: count)
    return copy(&cursor, into: &part, in: packet, memory: memory)
  }

  /// Fills all of `bytes`. False: fewer are there, or not memory.
  @inlinable
  func copy<Memory: NetworkMemory & ~Copyable>(
    _ cursor: inout TransmitCursor, into bytes: inout MutableRawSpan, in packet: RawSpan, memory: borrowing Memory
  ) -> Bool {
    var done = 0
    do throws(RingError) {
      while done < bytes.byteCount {
        guard let segment = try cursor.next(UInt64(bytes.byteCount &- done), sendBuffer, in: packet) else {
          return false
        }
        let count = Int(segment.byteCount)
        var target = bytes._mutatingExtracting(droppingFirst: done)
        var part = target._mutatingExtracting(first: count)
        guard memory.read(segment.address, into: &part) else { return false }
        done &+= count
      }
      return true
    } catch {
      return false
    }
  }
}
