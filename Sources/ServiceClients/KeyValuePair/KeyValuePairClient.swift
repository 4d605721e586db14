// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The guest's end of the key-value exchange: one request at a time, handed to whoever keeps the pools (a daemon), and
/// answered in the packet it came in.
///
/// The packet stays with the shell, as a private copy. `receive` says `.later` and tells what is asked for;
/// the shell reads texts out of the packet with `text`, does the work, writes the result with the `answer` functions and
/// sends the packet.
public struct KeyValuePairClient: Sendable {
  /// A request of the host, checked.
  public struct Request: Hashable, Sendable {
    public var operation: KeyValueOperation
    public var pool: KeyValuePool
    /// Of an enumeration.
    public var index: UInt32 = 0
    /// Bytes of UTF-16 of the key in the packet; 0 where there is none.
    public var keySize = 0
    /// Of a set.
    public var type = KeyValueType.string
    public var valueSize = 0
    /// Offsets in the packet.
    public var keyOffset = 0
    public var valueOffset = 0
  }

  /// Where the texts and fields of adapter settings are in a packet.
  public static let addressesOffset = IntegrationHeader.wireSize + KeyValueMessage.addressesOffset

  public private(set) var link: ServiceLink
  private var outstanding: IntegrationHeader?
  public private(set) var request: Request?

  public init(link: ServiceLink = ServiceLink(.keyValuePair)) {
    self.link = link
  }

  public mutating func channelOpened() {
    link.reset()
    outstanding = nil
    request = nil
  }

  @_lifetime(packet: copy packet)
  public mutating func receive(_ packet: inout MutableRawSpan) throws(ClientFault) -> ClientAnswer {
    guard outstanding == nil else {
      link.countFault()
      throw .busy
    }
    guard case .request(let header) = try link.receive(&packet) else { return .send }
    do throws(WireError) {
      request = try Self.decode(packet.bytes, header)
    } catch {
      // A request that makes no sense is answered, so that the host need not wait for it.
      link.countFault()
      try ServiceLink.answer(header, status: .invalidArgument, in: &packet)
      return .send
    }
    outstanding = header
    return .later
  }

  private static func decode(_ packet: RawSpan, _ header: IntegrationHeader) throws(WireError) -> Request {
    let start = IntegrationHeader.wireSize
    let body = try packet.slice(at: start, count: Int(header.bodySize))
    let message = try KeyValueMessage(decoding: body)
    var request = Request(operation: message.operation, pool: message.pool, index: message.index)
    switch message.operation {
    case .get:
      let record = KeyValueMessage.recordOffset
      request.keySize = try KeyValueRecord.keySize(decoding: body, at: record &+ 4)
      request.keyOffset = start &+ record &+ KeyValueRecord.keyOffset
    case .set:
      let offset = KeyValueMessage.recordOffset
      let record = try KeyValueRecord(decoding: body, at: offset)
      request.keySize = record.keySize
      request.keyOffset = start &+ offset &+ KeyValueRecord.keyOffset
      request.type = record.type
      request.valueSize = record.valueSize
      request.valueOffset = start &+ offset &+ KeyValueRecord.valueOffset
    case .delete:
      request.keySize = try KeyValueRecord.keySize(decoding: body, at: KeyValueMessage.deleteKeySizeOffset)
      request.keyOffset = start &+ KeyValueMessage.deleteKeyOffset
    default: break
    }
    return request
  }

  // MARK: Answers

  /// Answers with a status alone: set, delete, set addresses, and everything that failed.
  @_lifetime(packet: copy packet)
  public mutating func answer(
    _ status: IntegrationStatus, in packet: inout MutableRawSpan
  ) throws(ClientFault) {
    guard let header = outstanding else { throw .notOutstanding }
    outstanding = nil
    request = nil
    try ServiceLink.answer(header, status: status, in: &packet)
  }

  /// Answers a get or an enumeration with a pair in UTF-8, cut to what the record holds.
  @_lifetime(packet: copy packet)
  public mutating func answer(
    key: RawSpan, value: RawSpan, in packet: inout MutableRawSpan
  ) throws(ClientFault) {
    guard let request, let record = KeyValueMessage.recordOffset(of: request.operation) else { throw .notOutstanding }
    let start = IntegrationHeader.wireSize &+ record
    do throws(WireError) {
      let keyUnits = try WireText.utf16(
        from: key, into: &packet, at: start &+ KeyValueRecord.keyOffset, units: KeyValueRecord.keyCapacity / 2)
      let valueUnits = try WireText.utf16(
        from: value, into: &packet, at: start &+ KeyValueRecord.valueOffset, units: KeyValueRecord.valueCapacity / 2)
      let fields = KeyValueRecord(type: .string, keySize: 2 &* keyUnits, valueSize: 2 &* valueUnits)
      try fields.encode(into: &packet, at: start)
    } catch {
      throw ClientFault(error)
    }
    try answer(.ok, in: &packet)
  }

  /// Writes one text of adapter settings in UTF-8; then call `answer(.ok)`.
  @_lifetime(packet: copy packet)
  public func write(
    _ text: RawSpan, to field: AdapterAddressRecord.Field, in packet: inout MutableRawSpan
  ) throws(ClientFault) {
    do throws(WireError) {
      _ = try WireText.utf16(
        from: text, into: &packet, at: Self.addressesOffset &+ field.offset, units: field.units)
    } catch {
      throw ClientFault(error)
    }
  }

  /// Writes the plain fields of adapter settings.
  @_lifetime(packet: copy packet)
  public func write(_ fields: AdapterAddressRecord, in packet: inout MutableRawSpan) throws(ClientFault) {
    do throws(WireError) {
      try fields.encode(into: &packet, at: Self.addressesOffset)
    } catch {
      throw ClientFault(error)
    }
  }
}
