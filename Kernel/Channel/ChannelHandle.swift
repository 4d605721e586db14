// SPDX-License-Identifier: Apache-2.0

import CKernelChannel

/// A channel as C knows it. Whoever has a handle keeps it no longer than the channel lives.
@safe public struct ChannelHandle {
  let pointer: OpaquePointer

  public init(_ pointer: OpaquePointer) {
    unsafe self.pointer = unsafe pointer
  }

  public var isUsable: Bool { unsafe lis_channel_is_usable(pointer) }

  /// 0 for a device's first channel.
  public var index: UInt32 { unsafe lis_channel_index(pointer) }

  /// The processor that its interrupts go to.
  public var processor: UInt32 { unsafe lis_channel_processor(pointer) }

  /// Out of use from now on, and said so; the first reason counts. For what no retry repairs.
  public func fail(_ failure: ChannelFailure) {
    switch failure {
    case .corrupt: unsafe lis_channel_fail(pointer, LIS_CHANNEL_CORRUPT)
    case .protocol: unsafe lis_channel_fail(pointer, LIS_CHANNEL_PROTOCOL)
    }
  }

  /// When a `commit` says so; not needed when the glue does it after giving the lock back.
  public func signal() { unsafe lis_channel_signal(pointer) }
}

/// What ends the use of a channel, besides a trap, which the guard reports itself.
public enum ChannelFailure {
  /// A ring's indices or a packet's lengths contradict themselves.
  case corrupt
  /// The device's own protocol, where going on would be guessing.
  case `protocol`
}
