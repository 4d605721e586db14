// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// A frame for the guest, without its bytes.
public struct ReceiveFrame: Hashable, Sendable {
  public enum Checksum: Hashable, Sendable {
    /// Nobody has looked at it.
    case unknown
    /// Good, as it stands in the frame.
    case good
    /// Good by its origin, but not in the frame yet. Only while `NetworkSettings.acceptsCoalesced`.
    case partial
  }

  /// Of the whole frame, tag not included.
  public var byteCount: Int
  public var checksum: Checksum
  /// Control information of the 802.1Q tag that the guest is to see.
  public var tag: UInt16?
  /// From `NetworkScaling.select`.
  public var hash: UInt32?

  @inlinable public init(byteCount: Int, checksum: Checksum = .unknown, tag: UInt16? = nil, hash: UInt32? = nil) {
    self.byteCount = byteCount
    self.checksum = checksum
    self.tag = tag
    self.hash = hash
  }
}

/// Where a frame for the guest goes: to be filled, then given to `finish`, or to `cancel`.
public struct ReceivePlacement: Sendable {
  /// First section.
  let head: Int32
  let opening: UInt16
  let area: UInt32
  /// The section that is being filled, the next byte of it and how many are left in it.
  @usableFromInline var section: Int32
  @usableFromInline var offset: UInt64
  @usableFromInline var left: UInt64
  /// Of the whole frame.
  public let byteCount: Int
}

/// Why a frame cannot be received.
public enum ReceiveRefusal: Error, Hashable, Sendable {
  /// The guest is not ready, its interface is down, or it does not want frames to this address: forget the frame.
  case unwanted
  /// Longer than the guest takes: cut it, or forget it.
  case tooLong(maximum: Int)
  /// A checksum is to be completed first.
  case checksumNeeded
  /// No section is free. Keep the frame and stop bringing more, until `NetworkChannel.takeRoom` says so; or forget it.
  case exhausted
}
