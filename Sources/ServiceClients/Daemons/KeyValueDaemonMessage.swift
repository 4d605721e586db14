// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Messages of the data exchange daemon: always of one size, texts in UTF-8 with a NUL.
///
/// Layout: `hv_kvp_msg` in include/uapi/linux/hyperv.h of Linux 6.1 as gcc lays it out: operation u8, pool u8, two bytes
/// of padding; then, from offset 4, what `KeyValueMessage` has there too, padded to a multiple of 4. A reply has its
/// result, a u32, in place of the first four bytes.
public enum KeyValueDaemonMessage {
  public static let byteCount = 7432

  /// The registrations: that of daemons which tell errors by an empty key, and that of those which have a result.
  static let oldRegistration: UInt8 = 4
  static let registration: UInt8 = 100

  private static let body = 4
  /// How the driver calls itself; the daemon passes it on as IntegrationServicesVersion.
  private static let version: StaticString = "3.1"

  /// A daemon's registration, answered in `message`. Returns what it registered as.
  @_lifetime(message: copy message)
  public static func register(
    _ bytes: RawSpan, answer message: inout MutableRawSpan
  ) throws(DaemonFault) -> UInt8 {
    do throws(WireError) {
      _ = try bytes.slice(at: 0, count: byteCount)
      let kind = try bytes.read(UInt8.self, at: 0)
      guard kind == registration || kind == oldRegistration else { throw .invalid(offset: 0) }
      try clear(&message)
      try message.write(kind, at: 0)
      for index in 0..<version.utf8CodeUnitCount {
        try unsafe message.write(version.utf8Start[index], at: body &+ index)
      }
      return kind
    } catch {
      throw .invalid
    }
  }

  /// Turns the host's request, which `packet` holds, into the daemon's.
  @_lifetime(message: copy message)
  public static func encode(
    _ request: KeyValuePairClient.Request, from packet: RawSpan, into message: inout MutableRawSpan
  ) throws(WireError) {
    try clear(&message)
    try message.write(request.operation.rawValue, at: 0)
    try message.write(request.pool.rawValue, at: 1)
    switch request.operation {
    case .get:
      let key = try text(packet, request.keyOffset, request.keySize, &message, at: body &+ 12, room: 512)
      try message.write(key, at: body &+ 4)
    case .set:
      let key = try text(packet, request.keyOffset, request.keySize, &message, at: body &+ 12, room: 512)
      try message.write(key, at: body &+ 4)
      let place = body &+ KeyValueRecord.valueOffset
      let size: UInt32
      switch request.type {
      case .unsigned32:
        let number = UInt64(try packet.read(UInt32.self, at: request.valueOffset))
        size = try decimal(number, &message, at: place)
      case .unsigned64:
        size = try decimal(packet.read(UInt64.self, at: request.valueOffset), &message, at: place)
      default:
        size = try text(packet, request.valueOffset, request.valueSize, &message, at: place, room: 2048)
      }
      try message.write(size, at: body &+ 8)
    case .delete:
      let key = try text(packet, request.keyOffset, request.keySize, &message, at: body &+ 4, room: 512)
      try message.write(key, at: body)
    case .enumerate:
      try message.write(request.index, at: body)
    case .setAddresses:
      for number in 0..<AdapterAddressRecord.fieldCount {
        try address(AdapterAddressRecord.field(number), packet, &message)
      }
      try AdapterAddressRecord(decoding: packet, at: KeyValuePairClient.addressesOffset).encode(
        into: &message, at: body)
    case .getAddresses:
      try address(AdapterAddressRecord.adapter, packet, &message)
      let asked = try AdapterAddressRecord(decoding: packet, at: KeyValuePairClient.addressesOffset)
      try AdapterAddressRecord(families: asked.families, dhcp: 0).encode(into: &message, at: body)
    default:
      throw .invalid(offset: 0)
    }
  }

  /// Makes the host's request the answer to it, out of the daemon's reply. `registered`: what `register` returned.
  @_lifetime(packet: copy packet)
  public static func answer(
    _ reply: RawSpan, registered: UInt8, by client: inout KeyValuePairClient, in packet: inout MutableRawSpan
  ) throws(ClientFault) {
    guard let request = client.request else { throw .notOutstanding }
    do throws(WireError) {
      _ = try reply.slice(at: 0, count: byteCount)
      let result = try status(reply, request, registered)
      guard result == .ok else { return try finish(&client, result, &packet) }
      switch request.operation {
      case .get, .enumerate:
        let record = body &+ (request.operation == .get ? 0 : 4)
        let key = try reply.slice(at: record &+ KeyValueRecord.keyOffset, count: KeyValueRecord.keyCapacity)
        let value = try reply.slice(at: record &+ KeyValueRecord.valueOffset, count: KeyValueRecord.valueCapacity)
        do throws(ClientFault) { try client.answer(key: key, value: value, in: &packet) } catch {
          throw .invalid(offset: 0)
        }
      case .getAddresses:
        for number in 0..<AdapterAddressRecord.fieldCount {
          try answer(AdapterAddressRecord.field(number), reply, client, &packet)
        }
        try AdapterAddressRecord(decoding: reply, at: body)
          .encode(into: &packet, at: KeyValuePairClient.addressesOffset)
        try finish(&client, .ok, &packet)
      default:
        try finish(&client, .ok, &packet)
      }
    } catch {
      throw ClientFault(error)
    }
  }

  // MARK: Parts

  private static func status(
    _ reply: RawSpan, _ request: KeyValuePairClient.Request, _ registered: UInt8
  ) throws(WireError) -> IntegrationStatus {
    if registered != oldRegistration { return IntegrationStatus(rawValue: try reply.read(UInt32.self, at: 0)) }
    // Where an enumeration has its key; such daemons know no other way to say that there is nothing.
    return try reply.read(UInt8.self, at: body &+ 4 &+ KeyValueRecord.keyOffset) == 0 ? .noMoreItems : .ok
  }

  @_lifetime(packet: copy packet)
  private static func finish(
    _ client: inout KeyValuePairClient, _ status: IntegrationStatus, _ packet: inout MutableRawSpan
  ) throws(WireError) {
    do throws(ClientFault) { try client.answer(status, in: &packet) } catch { throw .invalid(offset: 0) }
  }

  @_lifetime(message: copy message)
  private static func clear(_ message: inout MutableRawSpan) throws(WireError) {
    for index in 0..<byteCount / 8 { try message.write(UInt64(0), at: 8 &* index) }
  }

  /// Writes a text of the packet, cut to `room` with its NUL. Returns its size with the NUL.
  @_lifetime(message: copy message)
  private static func text(
    _ packet: RawSpan, _ offset: Int, _ byteCount: Int, _ message: inout MutableRawSpan, at place: Int, room: Int
  ) throws(WireError) -> UInt32 {
    let size = try WireText.utf8(
      from: packet, at: offset, byteCount: byteCount, into: &message, at: place, room: room &- 1)
    return UInt32(truncatingIfNeeded: size &+ 1)
  }

  /// The daemon's fields are as wide as the host's, and it counts on no more bytes than the host has characters.
  @_lifetime(message: copy message)
  private static func address(
    _ field: AdapterAddressRecord.Field, _ packet: RawSpan, _ message: inout MutableRawSpan
  ) throws(WireError) {
    _ = try text(
      packet, KeyValuePairClient.addressesOffset &+ field.offset, 2 &* field.units, &message, at: body &+ field.offset,
      room: field.units)
  }

  @_lifetime(packet: copy packet)
  private static func answer(
    _ field: AdapterAddressRecord.Field, _ reply: RawSpan, _ client: KeyValuePairClient,
    _ packet: inout MutableRawSpan
  ) throws(WireError) {
    let text = try reply.slice(at: body &+ field.offset, count: 2 &* field.units)
    do throws(ClientFault) { try client.write(text, to: field, in: &packet) } catch { throw .invalid(offset: 0) }
  }

  /// A number as text, with a NUL. Returns its size with the NUL.
  @_lifetime(message: copy message)
  private static func decimal(
    _ number: UInt64, _ message: inout MutableRawSpan, at place: Int
  ) throws(WireError) -> UInt32 {
    var digits = 1
    var rest = number / 10
    while rest > 0 {
      digits &+= 1
      rest /= 10
    }
    rest = number
    var at = place &+ digits
    while at > place {
      at &-= 1
      try message.write(UInt8(truncatingIfNeeded: 0x30 &+ rest % 10), at: at)
      rest /= 10
    }
    return UInt32(truncatingIfNeeded: digits &+ 1)
  }
}
