// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// One channel of a network adapter: the path that every frame takes.
///
/// Owned by the thread that serves the channel's rings, which calls it without a lock. It knows nothing of the other
/// channels; what concerns the adapter as a whole goes through `NetworkProvider`. Nothing is allocated per packet.
///
/// It has three sides: packets of the guest (`receive`, `nextFrame`, `complete`), frames for the guest (`begin`, `finish`)
/// and what goes into the ring (`deliver`).
public struct NetworkChannel: ~Copyable, Sendable {
  /// 0: the adapter's first channel.
  public let index: UInt16
  public internal(set) var counters = NetworkCounters()
  public internal(set) var settings: NetworkSettings
  let opening: UInt16

  // Answers to packets, in a ring.
  private var answers: [NetworkAnswer]
  private var oldestAnswer = 0
  private var answerCount = 0
  /// Batches that somebody works on.
  private var batches = 0
  private var messages: [NetworkMessage] = []

  // Frames for the guest.
  var sections: [NetworkSection] = []
  /// Number of the first of `sections`.
  var firstSection: UInt32 = 0
  /// The first of them are for control messages only.
  var reservedCount = 0
  var free = NetworkSectionList()
  var reserved = NetworkSectionList()
  /// Frames that wait for room in the ring.
  private var oldestFrame: Int32 = -1
  private var newestFrame: Int32 = -1
  /// Sections for which a frame found no room; 0: nobody waits.
  var wantedSections = 0
  var partNumber: UInt16 = 0

  // Control messages for the guest. Those behind `placedControl` have no section yet.
  private var controls: [[UInt8]] = []
  private var placedControl: Int32 = -1
  private var owedLink: Bool?
  private var owedSpeed: UInt64?
  private var owesNetworkChange = false

  @usableFromInline var scratch = InlineArray<16, UInt64>(repeating: 0)

  /// Control messages that may wait. Whoever sends more without taking the answers does not get them.
  static let maximumControls = 64
  /// Longest control message of a guest. Linux's longest, of receive scaling, has 1136 bytes.
  static let maximumControlSize: UInt64 = 4096

  init(index: UInt16, opening: UInt16, packets: Int, settings: NetworkSettings) {
    self.index = index
    self.opening = opening
    self.settings = settings.apart()
    answers = Array(repeating: NetworkAnswer(), count: packets)
    takeSections()
  }

  // MARK: From the provider

  public mutating func carryOut(_ order: NetworkOrder) {
    switch order {
    case .apply(let settings): apply(settings)
    case .spread(let table): send(.sendTable(table))
    case .indicate(.link(let isUp)): owedLink = isUp
    case .indicate(.speed(let speed)): owedSpeed = speed
    case .indicate(.networkChanged): owesNetworkChange = true
    }
  }

  mutating func apply(_ new: NetworkSettings) {
    let isOther = new.receive?.number != settings.receive?.number
    settings = new.apart()
    if isOther { takeSections() }
    if !new.isInitialized {
      controls.removeAll()
      forgetIndications()
    }
  }

  private mutating func forgetIndications() {
    owedLink = nil
    owedSpeed = nil
    owesNetworkChange = false
  }

  /// Answers a message, or sends one of its own accord.
  mutating func send(_ message: NVSPMessage, to transactionID: UInt64? = nil) {
    messages.append(NetworkMessage(transactionID: transactionID, message: message))
  }

  /// Sends a control message, in the order of the calls.
  mutating func send(_ control: [UInt8]) {
    if controls.count < Self.maximumControls { controls.append(control) }
  }

  // MARK: From the guest

  /// Whether a packet may be read. False: too many answers wait; read on when some have been delivered.
  @inlinable public var canReceive: Bool { room > 0 }

  @usableFromInline var room: Int {
    messages.count < Self.maximumControls ? answers.count - answerCount - batches : 0
  }

  /// Takes the next packet of the guest's ring. Only while `canReceive`.
  @inlinable
  public mutating func receive<Memory: NetworkMemory & ~Copyable>(
    _ packet: Packet, in bytes: RawSpan, memory: borrowing Memory
  ) -> NetworkArrival {
    switch open(packet, bytes) {
    case .settled: return .settled
    case .frames(let batch): return .frames(batch)
    case .message(let control): return .control(control)
    case .control(var cursor, let byteCount):
      var message = [UInt8](repeating: 0, count: byteCount)
      var span = message.mutableSpan
      var target = unsafe span.mutableBytes
      guard copy(&cursor, into: &target, in: bytes, memory: memory) else { return refuse(packet, .failure) }
      return settle(packet, message)
    }
  }

  @usableFromInline
  enum Opened {
    case settled
    case frames(TransmitBatch)
    case message(NetworkControl)
    /// RNDIS control: to be copied.
    case control(TransmitCursor, Int)
  }

  @usableFromInline
  mutating func open(_ packet: Packet, _ bytes: RawSpan) -> Opened {
    precondition(room > 0, "a packet was read while too many answers wait")
    if packet.type == .completion {
      returnSections(packet.transactionID)
      return .settled
    }
    do throws(WireError) {
      guard packet.type == .inBand || packet.type == .gpaDirect else { throw .invalid(offset: 0) }
      let payload = try packet.payload(in: bytes)
      guard let header = try NVSPPacket(decoding: payload) else {
        return .message(
          NetworkControl(
            opening: opening, transactionID: packet.completionRequested ? packet.transactionID : nil,
            demand: .message(try NVSPMessage(decodingFromGuest: payload))))
      }
      return try open(header, packet, bytes)
    } catch {
      counters.malformed &+= 1
      answer(packet, .empty, .failure)
      return .settled
    }
  }

  private mutating func open(
    _ header: NVSPPacket, _ packet: Packet, _ bytes: RawSpan
  ) throws(WireError) -> Opened {
    var cursor = TransmitCursor()
    var byteCount: UInt64 = 0
    if header.section != NetworkAdapter.noSection {
      guard let area = settings.send, header.section < area.sections, header.sectionByteCount <= area.sectionSize else {
        return refused(packet, .failure)
      }
      cursor.sectionOffset = UInt64(header.section) &* UInt64(area.sectionSize)
      cursor.sectionLeft = UInt64(header.sectionByteCount)
      byteCount = cursor.sectionLeft
    }
    if packet.type == .gpaDirect {
      do throws(RingError) {
        let ranges = try GPADirectRanges(packet, in: bytes)
        byteCount &+= ranges.byteCount
        cursor.segments = GPASegments(ranges)
      } catch {
        return refused(packet, .failure)
      }
    }
    if header.isControl {
      guard index == 0, settings.receive != nil, byteCount >= 8, byteCount <= Self.maximumControlSize else {
        return refused(packet, .failure)
      }
      guard controls.count < Self.maximumControls else { return refused(packet, .busy) }
      return .control(cursor, Int(byteCount))
    }
    guard settings.isInitialized else { return refused(packet, .failure) }
    batches += 1
    return .frames(TransmitBatch(packet, opening: opening, cursor: cursor, byteCount: byteCount))
  }

  private mutating func refused(_ packet: Packet, _ status: NVSPStatus) -> Opened {
    counters.refused &+= 1
    answer(packet, .packet, status)
    return .settled
  }

  @usableFromInline
  mutating func refuse(_ packet: Packet, _ status: NVSPStatus) -> NetworkArrival {
    counters.refused &+= 1
    answer(packet, .packet, status)
    return .settled
  }

  @usableFromInline
  mutating func settle(_ packet: Packet, _ control: [UInt8]) -> NetworkArrival {
    answer(packet, .packet, .success)
    return .control(NetworkControl(opening: opening, transactionID: nil, demand: .rndis(control)))
  }

  mutating func answer(_ packet: Packet, _ kind: NetworkAnswer.Kind, _ status: NVSPStatus) {
    if packet.completionRequested {
      queue(NetworkAnswer(transactionID: packet.transactionID, status: status, kind: kind))
    }
  }

  /// `canReceive` saw to it that there is room.
  mutating func queue(_ answer: NetworkAnswer) {
    var place = oldestAnswer + answerCount
    if place >= answers.count { place -= answers.count }
    answers[place] = answer
    answerCount += 1
  }

  /// Ends a batch: nobody touches the guest's memory for it any more.
  public mutating func complete(_ batch: consuming TransmitBatch) {
    guard batch.opening == opening else { return }
    precondition(batches > 0, "a batch ended twice")
    batches -= 1
    if batch.wantsAnswer {
      queue(NetworkAnswer(transactionID: batch.transactionID, status: batch.status, kind: .packet))
    }
  }

  // MARK: Queue of frames

  mutating func queueFrame(_ head: Int32) {
    sections[Int(head)].nextFrame = -1
    if newestFrame >= 0 { sections[Int(newestFrame)].nextFrame = head } else { oldestFrame = head }
    newestFrame = head
  }

  mutating func forgetFrames() {
    oldestFrame = -1
    newestFrame = -1
    placedControl = -1
  }

  // MARK: To the guest

  /// Whether something waits to be delivered.
  public var hasAnswers: Bool {
    answerCount > 0 || !messages.isEmpty || oldestFrame >= 0 || placedControl >= 0
      || (hasControls && reserved.count + free.count > 0)
  }

  private var hasControls: Bool {
    !controls.isEmpty || owedLink != nil || owedSpeed != nil || owesNetworkChange
  }

  /// A control message that has no section yet, if there is a section for it.
  @usableFromInline
  mutating func nextControl() -> (bytes: [UInt8], section: Int32)? {
    guard placedControl < 0, hasControls, let area = settings.receive else { return nil }
    guard settings.isInitialized || !controls.isEmpty else { return nil }
    guard let section = takeReserved() ?? takeFree() else { return nil }
    let bytes = takeControl()
    guard bytes.count <= Int(area.sectionSize) else {
      giveBack(section)
      return nil
    }
    sections[Int(section)].byteCount = UInt32(bytes.count)
    sections[Int(section)].next = -1
    sections[Int(section)].nextFrame = -1
    sections[Int(section)].state = .waiting
    placedControl = section
    return (bytes, section)
  }

  private mutating func takeControl() -> [UInt8] {
    if !controls.isEmpty { return controls.removeFirst() }
    if let isUp = owedLink {
      owedLink = nil
      return RNDISBytes.indication(isUp ? .mediaConnect : .mediaDisconnect, [])
    }
    if owesNetworkChange {
      owesNetworkChange = false
      return RNDISBytes.indication(.networkChange, [])
    }
    let speed = owedSpeed ?? 0
    owedSpeed = nil
    return RNDISBytes.indication(.linkSpeedChange, RNDISBytes.word(UInt32(clamping: speed / 100)))
  }

  @usableFromInline
  mutating func dropControl() {
    if placedControl >= 0 { giveBack(placedControl) }
    placedControl = -1
  }

  /// What goes into the ring next; false: nothing. It stays until `remove`.
  @usableFromInline
  func next(into outgoing: inout NetworkOutgoing) -> Bool {
    if answerCount > 0 {
      outgoing.setCompletion(answers[oldestAnswer])
      return true
    }
    if let message = messages.first {
      outgoing.setMessage(message)
      return true
    }
    guard let area = settings.receive else { return false }
    if placedControl >= 0 {
      outgoing.beginTransfer(.control, id: area.id, transactionID: number(placedControl))
      add(placedControl, area, &outgoing)
      return true
    }
    guard oldestFrame >= 0 else { return false }
    outgoing.beginTransfer(.frames, id: area.id, transactionID: number(oldestFrame))
    var frame = oldestFrame
    while frame >= 0 {
      // All parts of a frame are in the same packet.
      if outgoing.frames > 0, outgoing.ranges + parts(frame) > NetworkAdapter.maximumRanges { break }
      var section = frame
      while section >= 0 {
        add(section, area, &outgoing)
        section = sections[Int(section)].next
      }
      outgoing.frames += 1
      frame = sections[Int(frame)].nextFrame
    }
    return true
  }

  private func parts(_ frame: Int32) -> Int {
    var count = 0
    var section = frame
    while section >= 0 {
      count += 1
      section = sections[Int(section)].next
    }
    return count
  }

  private func number(_ section: Int32) -> UInt64 { UInt64(firstSection) + UInt64(section) }

  private func add(_ section: Int32, _ area: NetworkReceiveArea, _ outgoing: inout NetworkOutgoing) {
    outgoing.addRange(
      byteCount: sections[Int(section)].byteCount,
      offset: UInt32(truncatingIfNeeded: number(section)) &* area.sectionSize)
  }

  /// It is in the ring.
  @usableFromInline
  mutating func remove(_ outgoing: borrowing NetworkOutgoing) {
    switch outgoing.origin {
    case .answer:
      oldestAnswer += 1
      if oldestAnswer == answers.count { oldestAnswer = 0 }
      answerCount -= 1
    case .message: messages.removeFirst()
    case .control:
      sections[Int(placedControl)].state = .sent
      sections[Int(placedControl)].isHead = true
      placedControl = -1
    case .frames:
      sections[Int(oldestFrame)].isHead = true
      var last = oldestFrame
      var frame = oldestFrame
      for _ in 0..<outgoing.frames {
        last = frame
        var section = frame
        while section >= 0 {
          sections[Int(section)].state = .sent
          section = sections[Int(section)].next
        }
        frame = sections[Int(frame)].nextFrame
      }
      sections[Int(last)].nextFrame = -1
      oldestFrame = frame
      if frame < 0 { newestFrame = -1 }
    }
  }

  public mutating func countBlocked() { counters.blocked &+= 1 }

  /// Writes what waits into the ring, as much as fits, and publishes it.
  ///
  /// Throws when the guest broke the ring's indices: the channel is unusable then.
  @inlinable
  public mutating func deliver<Storage: RingStorage, Memory: NetworkMemory & ~Copyable>(
    to writer: inout RingWriter<Storage>, memory: borrowing Memory
  ) throws(RingError) -> NetworkDelivery {
    var delivery = NetworkDelivery()
    var outgoing = NetworkOutgoing()
    while true {
      if let control = nextControl(), !write(control.bytes, to: control.section, memory: memory) { dropControl() }
      guard next(into: &outgoing) else { break }
      let isPlaced = try writer.writeOrRequestSpace(
        type: outgoing.type, completionRequested: outgoing.type == .transferPages,
        transactionID: outgoing.transactionID, descriptorTail: outgoing.descriptorTail, payload: outgoing.payload,
        signal: &delivery.signal)
      guard isPlaced else {
        countBlocked()
        delivery.isBlocked = true
        return delivery
      }
      remove(outgoing)
    }
    delivery.signal = writer.commit() || delivery.signal
    return delivery
  }
}
