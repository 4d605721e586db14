// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@Suite struct KeyValueMessageTests {
  @Test func goldenSetOfAString() throws {
    let golden = body(Golden.kvpSetString.bytes)
    #expect(golden.count == KeyValueMessage.recordMessageSize)
    let message = try KeyValueMessage(decoding: golden.wire)
    #expect(message == KeyValueMessage(operation: .set, pool: .automaticExternal))
    let record = try KeyValueRecord(decoding: golden.wire, at: KeyValueMessage.recordOffset)
    #expect(record == KeyValueRecord(type: .string, keySize: 18, valueSize: 8))
    let written = try bytes(golden.count) {
      try message.encode(into: &$0)
      try record.encode(into: &$0, at: KeyValueMessage.recordOffset)
      let key = KeyValueMessage.recordOffset + KeyValueRecord.keyOffset
      let value = KeyValueMessage.recordOffset + KeyValueRecord.valueOffset
      _ = try WireText.utf16(from: Array("HostName".utf8).wire, into: &$0, at: key, units: 256)
      _ = try WireText.utf16(from: Array("lis".utf8).wire, into: &$0, at: value, units: 1024)
    }
    #expect(written == golden)
    cut(golden, needed: golden.count) { try KeyValueMessage(decoding: $0) }
    cut(golden, needed: golden.count) { try KeyValueRecord(decoding: $0, at: KeyValueMessage.recordOffset) }
  }

  @Test func goldenSetOfANumber() throws {
    let golden = body(Golden.kvpSetNumber.bytes)
    let record = try KeyValueRecord(decoding: golden.wire, at: KeyValueMessage.recordOffset)
    #expect(record == KeyValueRecord(type: .unsigned64, keySize: 4, valueSize: 8))
    let value = KeyValueMessage.recordOffset + KeyValueRecord.valueOffset
    #expect(try golden.wire.read(UInt64.self, at: value) == 0x8877_6655_4433_2211)
  }

  @Test func goldenDelete() throws {
    let golden = body(Golden.kvpDelete.bytes)
    #expect(golden.count == KeyValueMessage.deleteMessageSize)
    #expect(try KeyValueMessage(decoding: golden.wire).operation == .delete)
    #expect(try KeyValueRecord.keySize(decoding: golden.wire, at: KeyValueMessage.deleteKeySizeOffset) == 8)
    cut(golden, needed: golden.count) { try KeyValueMessage(decoding: $0) }
  }

  @Test func goldenEnumeration() throws {
    let golden = body(Golden.kvpEnumerated.bytes)
    #expect(golden.count == KeyValueMessage.enumerateMessageSize)
    let message = try KeyValueMessage(decoding: golden.wire)
    #expect(message == KeyValueMessage(operation: .enumerate, pool: .automatic, index: 9))
    let record = try KeyValueRecord(decoding: golden.wire, at: KeyValueMessage.enumeratedRecordOffset)
    #expect(record == KeyValueRecord(type: .string, keySize: 44, valueSize: 14))
    #expect(
      text(golden, KeyValueMessage.enumeratedRecordOffset + KeyValueRecord.keyOffset, 44) == "ProcessorArchitecture")
    #expect(text(golden, KeyValueMessage.enumeratedRecordOffset + KeyValueRecord.valueOffset, 14) == "x86_64")
    cut(golden, needed: golden.count) { try KeyValueMessage(decoding: $0) }
  }

  @Test func goldenAddresses() throws {
    let golden = body(Golden.kvpSetAddresses.bytes)
    #expect(golden.count == KeyValueMessage.addressesMessageSize)
    #expect(try KeyValueMessage(decoding: golden.wire).operation == .setAddresses)
    let start = KeyValueMessage.addressesOffset
    #expect(try AdapterAddressRecord(decoding: golden.wire, at: start) == AdapterAddressRecord(families: 3, dhcp: 1))
    let fields: [(AdapterAddressRecord.Field, String)] = [
      (AdapterAddressRecord.adapter, "{ab}"), (AdapterAddressRecord.addresses, "10.0.0.2;fd00::2"),
      (AdapterAddressRecord.masks, "255.0.0.0;/64"), (AdapterAddressRecord.gateways, "10.0.0.1"),
      (AdapterAddressRecord.nameServers, "9.9.9.9"),
    ]
    for (field, expected) in fields { #expect(text(golden, start + field.offset, 2 * field.units) == expected) }
    cut(golden, needed: golden.count) { try KeyValueMessage(decoding: $0) }
  }

  @Test func unknownOperationsAreRefused() {
    for operation in 6...255 as ClosedRange<UInt8> {
      let message = [operation] + [UInt8](repeating: 0, count: 8000)
      #expect(throws: WireError.invalid(offset: 0)) { try KeyValueMessage(decoding: message.wire) }
    }
  }

  private func text(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> String {
    let units = (0..<count / 2).map { UInt16(bytes[offset + 2 * $0]) | UInt16(bytes[offset + 2 * $0 + 1]) << 8 }
    return String(decoding: units.prefix { $0 != 0 }, as: UTF16.self)
  }
}

@Suite struct WireTextTests {
  /// UTF-8 to UTF-16 and back, against Swift's own.
  @Test(arguments: ["", "plain", "é", "€", "日本語", "🔑", "a🔑b", "\u{FFFD}", "\u{10FFFF}\u{10000}\u{FFFF}\u{D7FF}"])
  func roundTrip(text: String) throws {
    var units = 0
    let wide = try bytes(64) { units = try WireText.utf16(from: Array(text.utf8).wire, into: &$0, at: 2, units: 31) }
    #expect(units == text.utf16.count + 1)
    let expected = text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
    #expect(Array(wide[2..<2 + expected.count]) == expected)
    var count = 0
    let narrow = try bytes(64) { count = try WireText.utf8(from: wide.wire, at: 2, byteCount: 62, into: &$0) }
    #expect(Array(narrow.prefix(count)) == Array(text.utf8))
  }

  @Test func whatDoesNotFitIsCutBetweenCharacters() throws {
    let text = Array("a€🔑b".utf8)
    for units in 1...6 {
      var written = 0
      let wide = try bytes(16) { written = try WireText.utf16(from: text.wire, into: &$0, at: 0, units: units) }
      #expect(written <= units)
      #expect(wide[2 * written - 2] == 0 && wide[2 * written - 1] == 0, "always a terminator")
      var count = 0
      let narrow = try bytes(16) { count = try WireText.utf8(from: wide.wire, at: 0, byteCount: 16, into: &$0) }
      #expect(text.starts(with: narrow.prefix(count)))
    }
    let wide = "a€🔑b".utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
    for capacity in 0...9 {
      var count = 0
      let narrow = try bytes(capacity) {
        count = try WireText.utf8(from: wide.wire, at: 0, byteCount: wide.count, into: &$0)
      }
      #expect(text.starts(with: narrow.prefix(count)))
    }
    var none = 1
    _ = try bytes(2) { none = try WireText.utf16(from: text.wire, into: &$0, at: 0, units: 0) }
    #expect(none == 0)
  }

  @Test func unitsAlone() throws {
    // Each 16-bit unit alone: surrogates become U+FFFD, as Swift has it.
    for unit in Array(stride(from: 1, to: 0xD800, by: 13)) + Array(0xD800...0xE000) + [0xFFFD, 0xFFFE, 0xFFFF]
      as [UInt16]
    {
      let wide = [UInt8(truncatingIfNeeded: unit), UInt8(unit >> 8)]
      var count = 0
      let narrow = try bytes(4) { count = try WireText.utf8(from: wide.wire, at: 0, byteCount: 2, into: &$0) }
      guard Array(narrow.prefix(count)) == Array(String(decoding: [unit], as: UTF16.self).utf8) else {
        Issue.record("unit \(unit)")
        return
      }
    }
  }

  @Test(
    arguments: [
      [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80],
      [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80], [0xE2, 0x82], [0xFF], [0xE2, 0x28, 0xA1],
    ] as [[UInt8]])
  func invalidUTF8IsReplaced(text: [UInt8]) throws {
    var units = 0
    let wide = try bytes(32) { units = try WireText.utf16(from: text.wire, into: &$0, at: 0, units: 16) }
    let result = (0..<units - 1).map { UInt16(wide[2 * $0]) | UInt16(wide[2 * $0 + 1]) << 8 }
    #expect(result.contains(0xFFFD))
    #expect(result.allSatisfy { $0 & 0xF800 != 0xD800 })
  }

  @Test func offsetsBeyondThePacketThrow() {
    let some = [UInt8](repeating: 65, count: 10)
    #expect(throws: WireError.self) {
      _ = try bytes(8) { _ = try WireText.utf8(from: some.wire, at: 4, byteCount: 8, into: &$0) }
    }
    #expect(throws: WireError.self) {
      _ = try bytes(8) { _ = try WireText.utf16(from: some.wire, into: &$0, at: 4, units: 10) }
    }
  }
}
