// SPDX-License-Identifier: Apache-2.0

import VMBus

/// Both ends of one ring under a script of writes, reads, commits and waits; now and then the peer forges a header
/// word or bytes of the data area. Until it does, everything written must come out unchanged and in order; afterwards
/// nothing may trap, no access may leave the ring, and a reader never returns more than the ring holds.
enum RingTarget {
  struct Sent {
    var id: UInt64
    var bytes: [UInt8]
  }

  static func run(_ script: inout Script) {
    let scattered = script.oneIn(2)
    let pageCount = scattered ? 1 + script.choice(3) : 1
    let size = scattered ? pageCount * 4096 : 8 * (2 + script.choice(200))
    // Of their exact size, so that the sanitiser sees the first byte too far.
    let header = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    let data = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
    defer {
      unsafe header.deallocate()
      unsafe data.deallocate()
    }
    unsafe header.initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
    unsafe data.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    let control = unsafe RingControl(page: header)
    control.initialize()
    let start = UInt32(8 * script.choice(256)) % UInt32(size)
    unsafe header.storeBytes(of: start, as: UInt32.self)
    unsafe header.storeBytes(of: start, toByteOffset: 4, as: UInt32.self)
    if scattered {
      var table = unsafe (0..<pageCount).reversed().map { unsafe data + $0 * 4096 }
      unsafe table.withUnsafeMutableBufferPointer { pages in
        guard let base = pages.baseAddress else { return }
        unsafe play(
          &script, control, PagedRingStorage(pages: base, pageCount: pageCount), header, data, size)
      }
    } else {
      unsafe play(&script, control, LinearRingStorage(base: data, byteCount: UInt32(size)), header, data, size)
    }
  }

  static func play(
    _ script: inout Script, _ control: RingControl, _ storage: some RingStorage, _ header: UnsafeMutableRawPointer,
    _ data: UnsafeMutableRawPointer, _ size: Int
  ) {
    guard var writer = try? RingWriter(control: control, storage: storage),
      var reader = try? RingReader(control: control, storage: storage)
    else { preconditionFailure("a sound header was refused") }
    var queue: [Sent] = []
    var published = 0
    var honest = true
    var next: UInt64 = 0
    while !script.isEmpty {
      switch script.choice(12) {
      case 0, 1, 2:
        let type = [PacketType.inBand, .gpaDirect, .transferPages, .completion][script.choice(4)]
        let tail = tail(&script, type)
        let payload = script.take(script.choice(script.oneIn(8) ? 256 : 32))
        do throws(RingError) {
          try unsafe writer.write(
            type: type, completionRequested: script.oneIn(2), transactionID: next, descriptorTail: tail.span.bytes,
            payload: payload.span.bytes)
          var bytes = tail + [UInt8](repeating: 0, count: -tail.count & 7) + payload
          bytes += [UInt8](repeating: 0, count: -payload.count & 7)
          queue.append(Sent(id: next, bytes: bytes))
          next += 1
        } catch {
          switch error {
          case .full(let needed): precondition(Int(needed) < size, "full for what never fits")
          case .tooLarge: break
          case .corrupt: precondition(!honest, "honest peer called corrupt: \(error)")
          }
        }
      case 3, 4:
        let level = control.readIndex == control.writeIndex
        let signal = writer.commit()
        if honest, level, published < queue.count, control.interruptMask == 0 {
          precondition(signal, "a packet in an empty ring and no signal")
        }
        published = queue.count
      case 5, 6, 7:
        receive(&script, &reader, &queue, &published, honest)
      case 8:
        _ = reader.commit()
      case 9:
        if script.oneIn(2) { reader.maskInterrupts() } else { _ = reader.unmaskInterrupts() }
      case 10:
        _ = writer.requestSpace(script.mostly(UInt32(script.choice(256))))
      default:
        // The peer's turn to cheat: rarely, or nothing but its cheating would be tested.
        guard script.oneIn(4) else { break }
        honest = false
        if script.oneIn(2) {
          let offset = [0, 4, 8, 12, 64][script.choice(5)]
          unsafe header.storeBytes(
            of: script.mostly(UInt32(8 * script.choice(256))), toByteOffset: offset, as: UInt32.self)
        } else {
          let offset = 8 * (Int(script.word16()) % (size / 8))
          unsafe data.storeBytes(of: script.word64() & 0x0001_00FF_00FF_000F, toByteOffset: offset, as: UInt64.self)
        }
      }
    }
  }

  /// Descriptor data: sound range lists for the types that have them, with fields that lie now and then.
  static func tail(_ script: inout Script, _ type: PacketType) -> [UInt8] {
    guard type == .gpaDirect || type == .transferPages else { return script.oneIn(8) ? script.take(16) : [] }
    let ranges = script.choice(4)
    var words: [UInt64] = [UInt64(script.mostly(UInt32(ranges))) << 32]
    for _ in 0..<ranges {
      let byteCount = UInt32(script.choice(256)) * 40
      let byteOffset = UInt32(script.word16() & 4095)
      words.append(UInt64(script.mostly(byteCount)) | UInt64(script.mostly(byteOffset)) << 32)
      guard type == .gpaDirect else { continue }
      for _ in 0..<(Int(byteCount) + Int(byteOffset) + 4095) / 4096 { words.append(script.mostly(UInt64(0x100))) }
    }
    return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
  }

  static func receive(
    _ script: inout Script, _ reader: inout RingReader<some RingStorage>, _ queue: inout [Sent],
    _ published: inout Int, _ honest: Bool
  ) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: script.oneIn(16) ? 24 : 4096, alignment: 8)
    defer { unsafe buffer.deallocate() }
    let packet: Packet?
    do throws(RingError) {
      packet = unsafe try reader.next(into: buffer)
    } catch {
      if case .corrupt = error { precondition(!honest, "honest peer called corrupt: \(error)") }
      return
    }
    guard let packet else {
      precondition(!honest || published == 0, "a published packet is not seen")
      return
    }
    precondition(packet.byteCount <= buffer.count && packet.payloadOffset <= packet.byteCount)
    let copy = unsafe buffer.bytes
    walk(packet, copy)
    if honest {
      precondition(published > 0, "more comes out than went in")
      published -= 1
      let sent = queue.removeFirst()
      precondition(packet.transactionID == sent.id, "order")
      precondition(unsafe Array(buffer[16..<packet.byteCount]) == sent.bytes, "contents")
    }
  }

  /// All iterators over the copy, whatever its type.
  static func walk(_ packet: Packet, _ bytes: RawSpan) {
    if var ranges = try? GPADirectRanges(packet, in: bytes) {
      var sum: UInt64 = 0
      while let range = try? ranges.next(in: bytes) {
        sum += UInt64(range.byteCount)
        precondition(range.byteOffset < 4096)
        for index in 0..<range.pageCount { _ = try? range.pageFrame(at: index, in: bytes) }
      }
      precondition(sum == ranges.byteCount)
    }
    if var ranges = try? TransferPageRanges(packet, in: bytes) {
      while (try? ranges.next(in: bytes)) != nil {}
    }
    _ = try? packet.payload(in: bytes)
  }
}
