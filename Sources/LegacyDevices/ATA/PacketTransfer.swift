// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

/// What a packet device makes of a packet.
enum PacketPlan: Equatable, Sendable {
  case done
  /// With this sense key; the device keeps the rest for REQUEST SENSE.
  case failed(UInt8)
  case reply([UInt8])
  /// The medium's bytes.
  case read(DriveRequest)
  /// A request without data.
  case drive(DriveRequest)
}

/// A packet command's data on its way to the guest.
struct PacketTransfer: Equatable, Sendable {
  /// Values of the interrupt reason register, which is the sector count register.
  enum Reason {
    static let command: UInt16 = 1
    static let toHost: UInt16 = 2
    static let status: UInt16 = 3
  }

  /// Bytes that are read from a medium at once for PIO.
  static let readAhead: UInt64 = 32 << 10

  let isDMA: Bool
  /// Bytes in one piece of a PIO transfer, even.
  private let limit: Int
  /// At hand and not yet offered.
  private var ready: ArraySlice<UInt8>
  /// Still on the medium.
  private var offset: UInt64
  private var remaining: UInt64
  private var reading: UInt64 = 0

  /// `file`: the registers at the packet command. Its byte count 0 means what it meant to early drives: no limit.
  init(file: TaskFile, bytes: [UInt8] = [], medium: DriveRequest? = nil) {
    isDMA = file.features & 1 != 0
    let asked = Int(file.middle & 0xFF) | Int(file.high & 0xFF) << 8
    limit = asked == 0 ? 0xFFFE : max(asked & 0xFFFE, 2)
    ready = bytes[...]
    offset = medium?.byteOffset ?? 0
    remaining = medium?.byteCount ?? 0
  }

  var isEmpty: Bool { ready.isEmpty && remaining == 0 }

  func busMasterWork(table: UInt32) -> IDERequest.Work {
    remaining > 0
      ? .direct(DriveRequest(.read, byteOffset: offset, byteCount: remaining), table: table)
      : .toGuest(Array(ready), table: table)
  }

  /// The next piece, nil if there are no bytes at hand.
  mutating func takePiece() -> [UInt8]? {
    guard !ready.isEmpty else { return nil }
    defer { ready = ready.dropFirst(limit) }
    return Array(ready.prefix(limit))
  }

  /// The next read from the medium, nil if there is none.
  mutating func takeRead() -> DriveRequest? {
    guard remaining > 0 else { return nil }
    reading = min(remaining, Self.readAhead)
    defer {
      offset += reading
      remaining -= reading
    }
    return DriveRequest(.read, byteOffset: offset, byteCount: reading)
  }

  /// What a read gave. false: not what was asked for.
  mutating func add(_ bytes: [UInt8]) -> Bool {
    guard UInt64(bytes.count) == reading else { return false }
    ready = bytes[...]
    reading = 0
    return true
  }
}
