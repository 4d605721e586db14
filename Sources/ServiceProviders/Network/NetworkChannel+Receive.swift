// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

// What the guest receives.

extension NetworkChannel {
  /// Finds room for a frame and writes what accompanies it. `header` is its first bytes, 128 or all of them.
  ///
  /// Fill all of the placement's segments, then `finish`.
  @inlinable
  public mutating func begin<Memory: NetworkMemory & ~Copyable>(
    _ frame: ReceiveFrame, header: RawSpan, memory: borrowing Memory
  ) throws(ReceiveRefusal) -> ReceivePlacement {
    let placement = try place(frame, header)
    var part = ReceivePart(placement)
    while nextPart(&part, frame, header) {
      guard writeHeader(to: part.section, memory: memory) else {
        cancel(placement)
        throw .unwanted
      }
    }
    return placement
  }

  @inlinable
  func writeHeader<Memory: NetworkMemory & ~Copyable>(to section: Int32, memory: borrowing Memory) -> Bool {
    write(unsafe scratch.span.bytes, to: section, memory: memory)
  }

  @inlinable
  func write<Memory: NetworkMemory & ~Copyable>(
    _ bytes: [UInt8], to section: Int32, memory: borrowing Memory
  ) -> Bool {
    write(unsafe bytes.span.bytes, to: section, memory: memory)
  }

  @inlinable
  func write<Memory: NetworkMemory & ~Copyable>(
    _ bytes: RawSpan, to section: Int32, memory: borrowing Memory
  ) -> Bool {
    var at = 0
    while at < bytes.byteCount {
      guard let run = run(of: section, at: UInt64(at), limit: UInt64(bytes.byteCount &- at)) else { return false }
      let count = Int(run.byteCount)
      guard memory.write(run.address, from: bytes.extracting(at..<at &+ count)) else { return false }
      at &+= count
    }
    return true
  }

  @usableFromInline
  func run(of section: Int32, at offset: UInt64, limit: UInt64) -> GPASegment? {
    guard let area = settings.receive else { return nil }
    let start = (UInt64(firstSection) &+ UInt64(truncatingIfNeeded: section)) &* UInt64(area.sectionSize)
    return area.buffer.run(at: start &+ offset, limit: limit)
  }

  /// Takes as many sections as the frame needs.
  @usableFromInline
  mutating func place(_ frame: ReceiveFrame, _ header: RawSpan) throws(ReceiveRefusal) -> ReceivePlacement {
    guard settings.isReceiving, let area = settings.receive, frame.byteCount >= NetworkAdapter.frameHeaderSize else {
      throw .unwanted
    }
    do throws(WireError) {
      guard settings.wants(try EthernetAddress(decoding: header, at: 0)) else { throw .invalid(offset: 0) }
    } catch {
      throw .unwanted
    }
    if frame.checksum == .partial, !settings.acceptsCoalesced { throw .checksumNeeded }
    let capacity = Int(area.capacity)
    let parts = frame.byteCount <= capacity ? 1 : (frame.byteCount + capacity - 1) / capacity
    let most = settings.acceptsCoalesced ? min(NetworkAdapter.maximumRanges, sections.count - reservedCount) : 1
    guard parts <= most else {
      counters.receiveErrors &+= 1
      throw .tooLong(maximum: min(capacity * most, 65535 + NetworkAdapter.frameHeaderSize))
    }
    guard free.count >= parts else {
      counters.receiveExhausted &+= 1
      wantedSections = parts
      throw .exhausted
    }
    var head: Int32 = -1
    for _ in 0..<parts {
      guard let section = takeFree() else { break }
      sections[Int(section)].state = .filling
      sections[Int(section)].next = head
      head = section
    }
    partNumber &+= 1
    let first = min(frame.byteCount, capacity)
    return ReceivePlacement(
      head: head, opening: opening, area: area.number, section: head, offset: UInt64(NetworkReceiveArea.headerSize),
      left: UInt64(first), byteCount: frame.byteCount)
  }

  /// Makes the header of the next part, in `scratch`. False: there was no further part.
  @usableFromInline
  mutating func nextPart(_ part: inout ReceivePart, _ frame: ReceiveFrame, _ header: RawSpan) -> Bool {
    let isFirst = part.section < 0
    part.section = isFirst ? part.head : sections[Int(part.section)].next
    guard part.section >= 0, let area = settings.receive else { return false }
    let count = min(part.left, Int(area.capacity))
    part.left -= count
    var information = PacketInformation()
    if part.isSplit {
      information.part = PacketPart(isFirst: isFirst, isLast: part.left == 0, number: partNumber)
    }
    if isFirst {
      information.checksum = checksum(frame, header)
      information.vlan = frame.tag.map { NetworkVLAN(tag: $0) }
      information.hash = frame.hash
    }
    let size = UInt32(truncatingIfNeeded: count) + NetworkReceiveArea.headerSize
    sections[Int(part.section)].byteCount = size
    let packet = RNDISPacket(
      byteCount: size, dataOffset: NetworkReceiveArea.headerSize - 8, dataByteCount: UInt32(truncatingIfNeeded: count),
      informationByteCount: UInt32(truncatingIfNeeded: information.byteCount))
    var words = scratch.mutableSpan
    var bytes = unsafe words.mutableBytes
    do throws(WireError) {
      try packet.encode(into: &bytes)
      try information.encode(into: &bytes, at: RNDISPacket.wireSize)
    } catch {
      preconditionFailure("what accompanies a frame is longer than a header")
    }
    return true
  }

  private func checksum(_ frame: ReceiveFrame, _ header: RawSpan) -> UInt32? {
    if frame.checksum == .unknown { return nil }
    let layout = FrameLayout(header)
    guard layout.isTCP || layout.isUDP else { return nil }
    var checksum = layout.isTCP ? ReceiveChecksum.tcpGood : .udpGood
    if frame.checksum == .partial, layout.isTCP { checksum = checksum.union(.tcpValueInvalid) }
    if layout.network == .ipv4 { checksum = checksum.union(.ipGood) }
    return checksum.rawValue
  }

  /// The next run of memory for the frame's bytes; nil: all of it has been named.
  @inlinable
  public func nextSegment(of placement: inout ReceivePlacement) -> GPASegment? {
    if placement.left == 0, !advance(&placement) { return nil }
    guard let run = run(of: placement.section, at: placement.offset, limit: placement.left) else { return nil }
    placement.offset &+= run.byteCount
    placement.left &-= run.byteCount
    return run
  }

  @usableFromInline
  func advance(_ placement: inout ReceivePlacement) -> Bool {
    guard isCurrent(placement) else { return false }
    placement.section = sections[Int(placement.section)].next
    guard placement.section >= 0 else {
      placement.section = placement.head
      // Stays at the end.
      return false
    }
    placement.offset = UInt64(NetworkReceiveArea.headerSize)
    placement.left = UInt64(sections[Int(placement.section)].byteCount - NetworkReceiveArea.headerSize)
    return true
  }

  private func isCurrent(_ placement: borrowing ReceivePlacement) -> Bool {
    guard placement.opening == opening, let area = settings.receive else { return false }
    return placement.area == area.number
  }

  /// The frame is in its place.
  public mutating func finish(_ placement: consuming ReceivePlacement) {
    guard isCurrent(placement) else { return }
    precondition(sections[Int(placement.head)].state == .filling, "a frame was finished twice")
    var section = placement.head
    while section >= 0 {
      sections[Int(section)].state = .waiting
      section = sections[Int(section)].next
    }
    counters.receivedFrames &+= 1
    counters.receivedBytes &+= UInt64(placement.byteCount)
    queueFrame(placement.head)
  }

  /// There will be no frame.
  public mutating func cancel(_ placement: consuming ReceivePlacement) {
    guard isCurrent(placement) else { return }
    giveBackFrame(placement.head)
  }

  /// True, once, when there is room again after `exhausted`: look after packets were received.
  public mutating func takeRoom() -> Bool {
    guard wantedSections > 0, free.count >= wantedSections || settings.receive == nil else { return false }
    wantedSections = 0
    return true
  }

  // MARK: Sections

  mutating func takeSections() {
    forgetFrames()
    free = NetworkSectionList()
    reserved = NetworkSectionList()
    sections = []
    reservedCount = 0
    guard let area = settings.receive else { return }
    let share = area.share(of: index)
    firstSection = share.first
    reservedCount = index == 0 ? Int(area.reserved) : 0
    sections = Array(repeating: NetworkSection(), count: Int(share.count))
    for section in sections.indices.reversed() { giveBack(Int32(section)) }
  }

  mutating func takeFree() -> Int32? {
    guard free.first >= 0 else { return nil }
    let section = free.first
    free.first = sections[Int(section)].next
    free.count -= 1
    return section
  }

  mutating func takeReserved() -> Int32? {
    guard reserved.first >= 0 else { return nil }
    let section = reserved.first
    reserved.first = sections[Int(section)].next
    reserved.count -= 1
    return section
  }

  mutating func giveBack(_ section: Int32) {
    sections[Int(section)].state = .free
    sections[Int(section)].isHead = false
    sections[Int(section)].nextFrame = -1
    if Int(section) < reservedCount {
      sections[Int(section)].next = reserved.first
      reserved.first = section
      reserved.count += 1
    } else {
      sections[Int(section)].next = free.first
      free.first = section
      free.count += 1
    }
  }

  private mutating func giveBackFrame(_ head: Int32) {
    var section = head
    while section >= 0 {
      let next = sections[Int(section)].next
      giveBack(section)
      section = next
    }
  }

  /// The guest is done with a packet.
  mutating func returnSections(_ transactionID: UInt64) {
    guard transactionID >= UInt64(firstSection), transactionID - UInt64(firstSection) < UInt64(sections.count) else {
      counters.malformed &+= 1
      return
    }
    let head = Int32(truncatingIfNeeded: transactionID - UInt64(firstSection))
    guard sections[Int(head)].state == .sent, sections[Int(head)].isHead else {
      counters.malformed &+= 1
      return
    }
    var frame = head
    while frame >= 0 {
      let next = sections[Int(frame)].nextFrame
      giveBackFrame(frame)
      frame = next
    }
  }
}

/// A walk over the parts of a frame, while their headers are written.
@usableFromInline
struct ReceivePart {
  let head: Int32
  @usableFromInline var section: Int32 = -1
  /// Bytes of the frame that have no part yet.
  var left: Int
  let isSplit: Bool

  @usableFromInline init(_ placement: borrowing ReceivePlacement) {
    head = placement.head
    left = placement.byteCount
    isSplit = UInt64(placement.byteCount) > placement.left
  }
}

extension NetworkChannel {
  /// Whether the guest has nothing of the host's, and nothing waits.
  public var isIdle: Bool { !hasAnswers && free.count + reserved.count == sections.count }

  /// What is wrong with the channel's own book-keeping; nil: nothing.
  public func checkInvariants() -> String? {
    if let problem = checkList(free, from: reservedCount) ?? checkList(reserved, from: 0) { return problem }
    let taken = sections.indices.count(where: { sections[$0].state != .free })
    if free.count + reserved.count + taken != sections.count { return "a section is neither free nor taken" }
    // Every section that the guest has belongs to exactly one packet.
    var seen = 0
    for head in sections.indices where sections[head].state == .sent && sections[head].isHead {
      var frame = Int32(head)
      while frame >= 0 {
        var section = frame
        while section >= 0 {
          seen += 1
          if sections[Int(section)].state != .sent || seen > sections.count { return "a packet with a strange section" }
          section = sections[Int(section)].next
        }
        frame = sections[Int(frame)].nextFrame
      }
    }
    if seen != sections.indices.count(where: { sections[$0].state == .sent }) { return "a section is in no packet" }
    return room < 0 ? "more answers than places" : nil
  }

  private func checkList(_ list: NetworkSectionList, from first: Int) -> String? {
    var count = 0
    var section = list.first
    while section >= 0 {
      count += 1
      if count > list.count || Int(section) < first || sections[Int(section)].state != .free {
        return "a bad free list"
      }
      section = sections[Int(section)].next
    }
    return count == list.count ? nil : "a free list of another length"
  }
}
