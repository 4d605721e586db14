// SPDX-License-Identifier: Apache-2.0

import CKernelChannel
import VMBus

/// Both rings of an opened channel, where the kernel has mapped them.
///
/// Made between `lis_channel_open` and `lis_channel_ready`, kept in the driver's own memory for as long as the channel is
/// open. `reader` belongs to whatever `arrived` leads to, `writer` to whoever holds the channel's lock
/// (`lis_channel_run_locked`): two processors may use one of them each.
public struct ChannelRings: ~Copyable {
  public var reader: RingReader<LinearRingStorage>
  public var writer: RingWriter<LinearRingStorage>

  /// Fails when an index in a header page is none, which is the host's doing: both were 0 before it was told.
  public static func make(_ channel: ChannelHandle) throws(RingError) -> ChannelRings {
    var place = unsafe lis_channel_place()
    unsafe lis_channel_place(channel.pointer, &place)
    guard let inbound = unsafe place.inbound, let outbound = unsafe place.outbound else {
      throw .corrupt(.dataSize(0))
    }
    let reader = try unsafe RingReader(
      control: RingControl(page: inbound),
      storage: LinearRingStorage(base: inbound + RingControl.byteCount, byteCount: place.inbound_bytes))
    let writer = try unsafe RingWriter(
      control: RingControl(page: outbound),
      storage: LinearRingStorage(base: outbound + RingControl.byteCount, byteCount: place.outbound_bytes))
    return ChannelRings(reader: reader, writer: writer)
  }

  private init(reader: consuming RingReader<LinearRingStorage>, writer: consuming RingWriter<LinearRingStorage>) {
    self.reader = reader
    self.writer = writer
  }
}
