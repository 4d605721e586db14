// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// How the guest wants what it receives spread over its channels.
public struct NetworkScaling: Sendable {
  public var key: ToeplitzKey
  public var hash: ReceiveHash
  /// Channels, by the lower bits of the hash. Never one that the adapter could not have.
  public var table: InlineArray<128, UInt16>

  /// The channel for a frame, and its hash; nil: the first channel, no hash. `header` is what `layout` was made from.
  @inlinable
  public func select(_ layout: FrameLayout, _ header: RawSpan) -> (channel: UInt16, hash: UInt32)? {
    guard let hash = layout.hash(header, key, hash) else { return nil }
    return (table[Int(hash & 127)], hash)
  }
}
