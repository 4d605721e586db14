// SPDX-License-Identifier: Apache-2.0

import ServiceProviders
import VMBus

/// A channel on the host's side: what its thread would own.
@safe public final class HostPort {
  /// A packet of the guest is at most this long here.
  static let bufferSize = 1 << 19
  public var channel: StorageChannel
  public var reader: RingPair.Reader
  public var writer: RingPair.Writer
  let rings: RingPair
  let buffer: UnsafeMutableRawBufferPointer
  /// The guest broke the ring.
  public var isBroken = false

  init(_ channel: consuming StorageChannel, _ rings: RingPair) {
    self.channel = channel
    self.rings = rings
    reader = rings.reader(.host)
    writer = rings.writer(.host)
    unsafe buffer = .allocate(byteCount: Self.bufferSize, alignment: 16)
  }

  deinit { unsafe buffer.deallocate() }
}
