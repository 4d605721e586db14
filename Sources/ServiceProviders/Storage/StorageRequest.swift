// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Names a packet of one channel from its arrival until its answer is in the ring. Fits into an I/O engine's user data.
public struct StorageRequestID: RawRepresentable, Hashable, Sendable {
  /// Bits 0–15 the slot, 16–31 which opening of the channel, 32–63 which use of the slot.
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  @inlinable
  init(slot: Int, opening: UInt16, generation: UInt32) {
    rawValue = UInt64(generation) &<< 32 | UInt64(opening) &<< 16 | UInt64(UInt16(truncatingIfNeeded: slot))
  }

  /// Below the channel's number of slots: an index for the owner's own tables.
  @inlinable public var slot: Int { Int(rawValue & 0xFFFF) }
  @inlinable var opening: UInt16 { UInt16(truncatingIfNeeded: rawValue &>> 16) }
  @inlinable var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue &>> 32) }
}

/// A SCSI command that the guest wants executed. Ends with `StorageChannel.complete`, exactly once.
public struct StorageRequest: Sendable {
  public let id: StorageRequestID
  /// Number of the logical unit on this controller; nil: another path or target, where nothing is.
  public let unit: UInt8?
  public let command: SCSICommandBlock
  public let direction: StorageDirection
  /// Bytes of data that can be moved: the least of what the request says and what its memory has.
  public let byteCount: UInt32
  /// Where they are to be found; nil when there are none.
  public let ranges: GPADirectRanges?

  /// The data's memory as runs of guest physical addresses, `byteCount` bytes in all. To be walked over the private copy
  /// of the packet, before the next packet is read into its place.
  @inlinable public var segments: GPASegments? { ranges.map { GPASegments($0, limit: UInt64(byteCount)) } }
}

/// What a packet is about that is not a command: to be given to `StorageProvider.receive`.
public struct StorageControl: Sendable {
  public enum Demand: Hashable, Sendable {
    case beginInitialization
    case queryVersion(StorageVersion)
    case queryProperties
    case endInitialization
    case createSubChannels(UInt16)
    case reset(StorageScope)
  }

  let id: StorageRequestID
  public let demand: Demand
}

/// Which requests a reset concerns.
public enum StorageScope: Hashable, Sendable {
  case controller
  case unit(UInt8)
}

/// What has become of a packet.
public enum StorageArrival: Sendable {
  /// Execute it.
  case command(StorageRequest)
  /// For the provider.
  case control(StorageControl)
  /// Nothing to do; an answer may wait to be delivered.
  case settled
}

/// What a look at the answers brought.
public struct StorageDelivery: Hashable, Sendable {
  /// Signal the guest.
  public var signal = false
  /// Answers are left over for want of room in the ring; the guest was asked for a signal. Deliver again then.
  public var isBlocked = false

  public init() {}
}
