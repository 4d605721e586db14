// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// What goes out for each request, and what its answers mean.
extension KeyValueProvider {
  /// Sends the message that the current request needs next.
  mutating func sendStep(_ clock: ServiceClock) {
    guard let job = current else { return }
    switch job.kind {
    case .enumerate(let pool, let limit):
      guard limit > 0 else {
        finish(.success(.items([])))
        return
      }
      sendEnumerate(pool, job.index, clock)
    case .get(_, let pool):
      sendEnumerate(pool, job.index, clock)
    case .set(let item, let pool, let mode):
      if mode == .set || job.existenceKnown {
        sendRecord(.set, item, pool, clock)
      } else {
        sendRecord(.get, KeyValueItem(key: item.key, value: .string("")), pool, clock)
      }
    case .delete(let key, let pool):
      let head = KeyValueMessage(operation: .delete, pool: pool)
      channel.send(bodySize: KeyValueMessage.deleteMessageSize, within: ServiceLimits.reply, clock) {
        (body: inout MutableRawSpan) throws(WireError) in
        try head.encode(into: &body)
        try body.write(UInt32(2 * key.utf16.count + 2), at: KeyValueMessage.deleteKeySizeOffset)
        try HostText.write(key, to: &body, at: KeyValueMessage.deleteKeyOffset)
      }
    case .addresses(let macAddress):
      sendAddresses(.getAddresses, adapter: macAddress, AdapterConfiguration(), clock)
    case .setAddresses(let configuration, let adapter):
      sendAddresses(.setAddresses, adapter: adapter.bracedText, configuration, clock)
    }
  }

  private mutating func sendEnumerate(_ pool: KeyValuePool, _ index: UInt32, _ clock: ServiceClock) {
    let head = KeyValueMessage(operation: .enumerate, pool: pool, index: index)
    channel.send(bodySize: KeyValueMessage.enumerateMessageSize, within: ServiceLimits.reply, clock) {
      (body: inout MutableRawSpan) throws(WireError) in try head.encode(into: &body)
    }
  }

  private mutating func sendRecord(
    _ operation: KeyValueOperation, _ item: KeyValueItem, _ pool: KeyValuePool, _ clock: ServiceClock
  ) {
    let head = KeyValueMessage(operation: operation, pool: pool)
    channel.send(bodySize: KeyValueMessage.recordMessageSize, within: ServiceLimits.reply, clock) {
      (body: inout MutableRawSpan) throws(WireError) in
      try head.encode(into: &body)
      let start = KeyValueMessage.recordOffset
      // Sizes with their terminators, whose zeros are there already.
      var record = KeyValueRecord(type: .string, keySize: 2 * item.key.utf16.count + 2, valueSize: 0)
      try HostText.write(item.key, to: &body, at: start + KeyValueRecord.keyOffset)
      switch item.value {
      case .string(let text):
        record.valueSize = 2 * text.utf16.count + 2
        try HostText.write(text, to: &body, at: start + KeyValueRecord.valueOffset)
      case .unsigned32(let number):
        record.type = .unsigned32
        record.valueSize = 4
        try body.write(number, at: start + KeyValueRecord.valueOffset)
      case .unsigned64(let number):
        record.type = .unsigned64
        record.valueSize = 8
        try body.write(number, at: start + KeyValueRecord.valueOffset)
      }
      try record.encode(into: &body, at: start)
    }
  }

  private mutating func sendAddresses(
    _ operation: KeyValueOperation, adapter: String, _ configuration: AdapterConfiguration, _ clock: ServiceClock
  ) {
    let head = KeyValueMessage(operation: operation, pool: .external)
    let fields = AdapterAddressRecord(families: configuration.families.rawValue, dhcp: configuration.dhcp ? 1 : 0)
    channel.send(bodySize: KeyValueMessage.addressesMessageSize, within: ServiceLimits.reply, clock) {
      (body: inout MutableRawSpan) throws(WireError) in
      try head.encode(into: &body)
      let start = KeyValueMessage.addressesOffset
      try fields.encode(into: &body, at: start)
      try HostText.write(adapter, to: &body, at: start + AdapterAddressRecord.adapter.offset)
      for (field, list) in configuration.texts {
        try HostText.write(list, to: &body, at: start + field.offset)
      }
    }
  }

  // MARK: Answers

  /// The guest answered the current request's message.
  mutating func answered(_ reply: ServiceChannel.Reply, _ payload: RawSpan, _ clock: ServiceClock) {
    guard let job = current else { return }
    switch job.kind {
    case .enumerate(_, let limit): enumerated(reply, payload, job, limit: limit, key: nil)
    case .get(let key, _): enumerated(reply, payload, job, limit: Self.enumerationLimit, key: key)
    case .set(_, _, let mode): written(reply.status, mode, existenceKnown: job.existenceKnown)
    case .delete:
      switch reply.status {
      case .ok: finish(.success(.done))
      case .noMoreItems: finish(.failure(.noSuchKey))
      default: finish(.failure(.refused(reply.status)))
      }
    case .addresses: configuration(reply, payload)
    case .setAddresses:
      switch reply.status {
      case .ok: finish(.success(.done))
      case .adapterNotFound: finish(.failure(.adapterNotFound))
      default: finish(.failure(.refused(reply.status)))
      }
    }
  }

  private mutating func enumerated(
    _ reply: ServiceChannel.Reply, _ payload: RawSpan, _ job: KeyValueJob, limit: Int, key: String?
  ) {
    guard reply.status == .ok else {
      if reply.status != .noMoreItems {
        finish(.failure(.refused(reply.status)))
      } else if key != nil {
        finish(.failure(.noSuchKey))
      } else {
        finish(.success(.items(job.items)))
      }
      return
    }
    do throws(WireError) {
      let item = try Self.item(decoding: payload.slice(at: reply.bodyOffset, count: reply.bodySize))
      if let key {
        if item.key == key {
          finish(.success(.item(item)))
          return
        }
      } else {
        current?.items.append(item)
      }
    } catch {
      // One pair that makes no sense does not hide the others.
      channel.fault(.badBody)
    }
    current?.index &+= 1
    // Counted by index, so that neither good nor bad pairs go on for ever.
    if Int(job.index) + 1 >= limit {
      finish(key == nil ? .success(.items(current?.items ?? [])) : .failure(.noSuchKey))
    }
  }

  private mutating func written(_ status: IntegrationStatus, _ mode: KeyValueWriteMode, existenceKnown: Bool) {
    if mode == .set || existenceKnown {
      finish(status == .ok ? .success(.done) : .failure(.refused(status)))
      return
    }
    switch (status, mode) {
    case (.ok, .add): finish(.failure(.keyExists))
    case (.noMoreItems, .modify): finish(.failure(.noSuchKey))
    case (.ok, _), (.noMoreItems, _): current?.existenceKnown = true
    default: finish(.failure(.refused(status)))
    }
  }

  private mutating func configuration(_ reply: ServiceChannel.Reply, _ payload: RawSpan) {
    switch reply.status {
    case .ok: break
    // The daemon says E_FAIL when no interface has this MAC address.
    case .failure, .adapterNotFound:
      finish(.failure(.adapterNotFound))
      return
    default:
      finish(.failure(.refused(reply.status)))
      return
    }
    do throws(WireError) {
      let body = try payload.slice(at: reply.bodyOffset, count: reply.bodySize)
      let configuration = try AdapterConfiguration(decoding: body, at: KeyValueMessage.addressesOffset)
      finish(.success(.adapterConfiguration(configuration)))
    } catch {
      channel.fault(.badBody)
      finish(.failure(.invalidAnswer(.badBody)))
    }
  }

  /// The pair in the answer to an enumeration.
  static func item(decoding body: RawSpan) throws(WireError) -> KeyValueItem {
    let start = KeyValueMessage.enumeratedRecordOffset
    let record = try KeyValueRecord(decoding: body, at: start)
    let key = try HostText.read(body, at: start + KeyValueRecord.keyOffset, byteCount: record.keySize)
    let valueOffset = start + KeyValueRecord.valueOffset
    let value: KeyValueValue =
      switch record.type {
      case .unsigned32: .unsigned32(try body.read(UInt32.self, at: valueOffset))
      case .unsigned64: .unsigned64(try body.read(UInt64.self, at: valueOffset))
      default: .string(try HostText.read(body, at: valueOffset, byteCount: record.valueSize))
      }
    return KeyValueItem(key: key, value: value)
  }
}
