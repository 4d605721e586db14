// SPDX-License-Identifier: Apache-2.0

/// Where a guest signals a channel without a hypercall.
public struct ChannelMonitor: Equatable, Sendable {
  /// The page frame number, in guest memory, of the monitor page on which the guest sets bits. One for all channels of a
  /// connection.
  public var page: UInt64
  /// Below 128: the bit. No other channel's.
  public var number: UInt8

  public init(page: UInt64, number: UInt8) {
    self.page = page
    self.number = number
  }
}
