// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The input of HvPostMessage (TLFS 11.11), taken from a private copy of the guest's 256 bytes.
struct PostMessageInput: Equatable, Sendable {
  static let byteCount = 256
  static let payloadOffset = 16

  var connection: UInt32
  var messageType: UInt32
  var payloadBytes: Int

  /// Hypercall status codes (TLFS appendix B).
  enum Status {
    static let success: UInt16 = 0
    static let invalidCode: UInt16 = 2
    static let invalidInput: UInt16 = 3
    static let invalidAlignment: UInt16 = 4
    static let invalidParameter: UInt16 = 5
  }

  /// Whether a hypercall's input block may lie at `address`: 8-aligned and within one page.
  static func isUsable(_ address: UInt64) -> Bool { address & 7 == 0 && address & 0xFFF <= 4096 - UInt64(byteCount) }

  init(decoding bytes: RawSpan) throws(WireError) {
    // Connection ids have 24 bits; the rest is reserved.
    connection = try bytes.read(UInt32.self, at: 0) & 0x00FF_FFFF
    messageType = try bytes.read(UInt32.self, at: 8)
    let count = try bytes.read(UInt32.self, at: 12)
    // A type of 0 would mean a free slot; the top bit is the hypervisor's own.
    guard messageType != 0, messageType & 0x8000_0000 == 0 else { throw .invalid(offset: 8) }
    guard count <= UInt32(MessageSlot.payloadLimit) else { throw .invalid(offset: 12) }
    payloadBytes = Int(count)
  }
}
