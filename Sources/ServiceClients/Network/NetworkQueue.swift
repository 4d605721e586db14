// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The frames of one channel: those that the host has, and those that come from it. Its tables lie in memory that the
/// shell gives it; nothing is allocated per frame. Used under the channel's lock, or by one processor.
///
/// Transaction ids are `RequestTable`'s, never those of the client's controls.
@safe public struct NetworkQueue: ~Copyable {
  struct Entry: BitwiseCopyable {
    /// -1: none.
    var section: Int32 = -1
    var context: UInt64 = 0
  }

  /// What became of a packet of frames.
  public struct Sent: Sendable {
    public let context: UInt64
    public let isGood: Bool
  }

  /// What a packet of the host is.
  public enum Inbound: Sendable {
    case sent(Sent)
    /// Frames or control messages: `nextMessage` until there are no more, then complete it.
    case messages(NetworkInbound)
    /// For `NetworkClient.receive(completion:)`, with the packet's payload.
    case completion
    /// For `NetworkClient.receive(notice:)`.
    case notice
  }

  /// How the client and the host have divided the buffers, and this channel's share of the send buffer.
  public struct Layout: Sendable {
    public var receiveSection: NVSPReceiveSection
    public var sendSectionSize: UInt32
    public var firstSendSection: UInt32
    public var sendSections: UInt32
    public var alignment: UInt32
    public var packetsPerMessage: UInt32

    /// Of `client`, which is ready: an even share for channel `index` of `count`.
    public init(_ client: borrowing NetworkClient, channel index: UInt32, of count: UInt32) {
      let each = client.sendSections / (count > 0 ? count : 1)
      receiveSection = client.receiveSection
      sendSectionSize = client.sendSectionSize
      firstSendSection = each &* index
      sendSections = each
      alignment = client.alignment
      packetsPerMessage = client.packetsPerMessage
    }
  }

  /// Packets that the host has.
  public var outstanding: Int { requests.outstanding }
  /// Packets and messages dropped since the channel was opened.
  public internal(set) var faults: UInt64 = 0
  public internal(set) var layout: Layout
  public var capacity: Int { requests.capacity }
  let sectionCapacity: Int
  private var requests: RequestTable<Entry>
  /// Free sections, a stack.
  private let sections: UnsafeMutablePointer<Int32>
  private var sectionCount = 0

  public static func tableBytes(capacity: Int, sections: Int) -> Int {
    RequestTable<Entry>.byteCount(capacity: capacity) &+ MemoryLayout<Int32>.stride &* sections
  }

  /// `table` is `tableBytes` of memory, aligned to 16, that stays until the queue is used no more. `capacity` is below
  /// 65535; no more than `sections` sections are used.
  public init(_ layout: Layout, table: UnsafeMutableRawPointer, capacity: Int, sections count: Int) {
    precondition(count >= 0)
    self.layout = layout
    sectionCapacity = count
    unsafe requests = RequestTable(memory: table, capacity: capacity, repeating: Entry())
    let rest = unsafe table + RequestTable<Entry>.byteCount(capacity: capacity)
    unsafe sections = rest.initializeMemory(as: Int32.self, repeating: 0, count: count)
    fillSections()
  }

  private mutating func fillSections() {
    let wanted = Int(layout.sendSections)
    sectionCount = wanted < sectionCapacity ? wanted : sectionCapacity
    for index in 0..<sectionCount {
      unsafe sections[index] = Int32(truncatingIfNeeded: sectionCount &- 1 &- index)
    }
  }

  /// The channel was opened (again). What was outstanding is gone: end it first with `abandon`.
  public mutating func channelOpened(_ layout: Layout) {
    self.layout = layout
    requests.reopen()
    faults = 0
    fillSections()
  }

  /// The client is ready: channels and sections are known now. Nothing has been sent yet; the first channel's queue is
  /// there before, since answers to the client come through it.
  public mutating func clientReady(_ layout: Layout) throws(NetworkClientFault) {
    guard outstanding == 0 else { throw .wrongState }
    self.layout = layout
    fillSections()
  }

  public var freeSections: Int { sectionCount }

  // MARK: To the host

  /// Makes the packet of a frame. Its RNDIS header is written to the front of `header`, a private 128 bytes; the shell puts
  /// it where the place says, and the frame behind it.
  public mutating func begin(
    _ send: NetworkSend, _ place: NetworkSendPlace, header: inout MutableRawSpan
  ) throws(NetworkClientFault) -> NetworkSendPacket {
    let headerSize = RNDISPacket.wireSize &+ send.information.byteCount
    guard send.byteCount > 0, send.byteCount <= 0xFFFFF else { throw .tooLong }
    var inSection = 0
    switch place {
    case .section: inSection = pad(headerSize &+ send.byteCount)
    case .headerInSection: inSection = headerSize
    case .ranges: break
    }
    guard inSection <= Int(layout.sendSectionSize) else { throw .tooLong }
    guard !requests.isFull, inSection == 0 || sectionCount > 0 else { throw .full }
    try write(send, size: place == .section ? inSection : headerSize &+ send.byteCount, &header)
    var entry = Entry(context: send.context)
    if inSection > 0 { entry.section = unsafe sections[sectionCount &- 1] }
    guard let id = requests.begin(entry) else { throw .full }
    if inSection > 0 { sectionCount &-= 1 }
    return NetworkSendPacket(
      transactionID: id,
      section: inSection > 0 ? layout.firstSendSection &+ UInt32(truncatingIfNeeded: entry.section) : nil,
      sectionByteCount: UInt32(truncatingIfNeeded: inSection), headerByteCount: headerSize)
  }

  /// Adds a frame to a packet whose frames are all in its section, and that has not been sent. The result is where in the
  /// section its header goes; nil: it does not fit.
  public func append(
    _ send: NetworkSend, to packet: inout NetworkSendPacket, header: inout MutableRawSpan
  ) throws(NetworkClientFault) -> UInt32? {
    let headerSize = RNDISPacket.wireSize &+ send.information.byteCount
    guard send.byteCount > 0, send.byteCount <= 0xFFFFF else { throw .tooLong }
    let size = pad(headerSize &+ send.byteCount)
    guard packet.section != nil, packet.frames < layout.packetsPerMessage,
      size <= Int(layout.sendSectionSize) &- Int(packet.sectionByteCount)
    else { return nil }
    try write(send, size: size, &header)
    let place = packet.sectionByteCount
    packet.sectionByteCount &+= UInt32(truncatingIfNeeded: size)
    packet.headerByteCount = headerSize
    packet.frames &+= 1
    packet.encode()
    return place
  }

  private func pad(_ count: Int) -> Int {
    let mask = Int(layout.alignment) &- 1
    return (count &+ mask) & ~mask
  }

  private func write(_ send: NetworkSend, size: Int, _ header: inout MutableRawSpan) throws(NetworkClientFault) {
    let information = send.information.byteCount
    let message = RNDISPacket(
      byteCount: UInt32(truncatingIfNeeded: size), dataOffset: UInt32(truncatingIfNeeded: 36 &+ information),
      dataByteCount: UInt32(truncatingIfNeeded: send.byteCount),
      informationByteCount: UInt32(truncatingIfNeeded: information))
    do throws(WireError) {
      try message.encode(into: &header)
      try send.information.encode(into: &header, at: RNDISPacket.wireSize)
    } catch {
      throw .tooLong
    }
  }

  /// The packet did not fit into the ring: as if it had never begun.
  public mutating func cancel(_ packet: borrowing NetworkSendPacket) {
    if let entry = requests.end(packet.transactionID) { giveBack(entry) }
  }

  /// The channel is gone: ends the packets one by one; nil when none is left.
  public mutating func abandon() -> Sent? {
    guard let entry = requests.endAny() else { return nil }
    giveBack(entry)
    return Sent(context: entry.context, isGood: false)
  }

  // MARK: From the host

  /// A packet of the host; `bytes` is the private copy. A completion ends its packet, even when it is damaged.
  public mutating func receive(_ packet: Packet, in bytes: RawSpan) throws(NetworkClientFault) -> Inbound {
    do throws(NetworkClientFault) {
      return try take(packet, bytes)
    } catch {
      faults &+= 1
      throw error
    }
  }

  private mutating func take(_ packet: Packet, _ bytes: RawSpan) throws(NetworkClientFault) -> Inbound {
    switch packet.type {
    case .completion:
      if packet.transactionID >= NetworkClient.firstID { return .completion }
      guard let entry = requests.end(packet.transactionID) else { throw .notOutstanding }
      giveBack(entry)
      var isGood = false
      do throws(WireError) {
        isGood = try NVSPPacketComplete(decoding: packet.payload(in: bytes)).status == .success
      } catch {
        // Not what ends a packet, but it ends it.
      }
      return .sent(Sent(context: entry.context, isGood: isGood))
    case .transferPages:
      do throws(RingError) {
        let ranges = try TransferPageRanges(packet, in: bytes)
        guard ranges.setID == NetworkAdapter.receiveBufferID else { throw .corrupt(.descriptor(.type(packet.type))) }
        return .messages(NetworkInbound(packet, ranges))
      } catch {
        throw .malformed
      }
    case .inBand: return .notice
    default: throw .malformed
    }
  }

  private mutating func giveBack(_ entry: Entry) {
    guard entry.section >= 0, sectionCount < sectionCapacity else { return }
    unsafe sections[sectionCount] = entry.section
    sectionCount &+= 1
  }
}
