// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What a synthetic network adapter is offered as, and the numbers that both ends know.
public enum NetworkAdapter {
  /// HV_NIC_GUID in include/linux/hyperv.h of Linux 6.1.
  public static var classID: GUID { GUID(0xf8615163, 0xdf3e, 0x46c5, 0x913f, 0xf2d2_f965_ed0e) }
  /// Names the receive buffer in its messages and in transfer-page packets; the only id that Linux and DPDK send.
  @inlinable public static var receiveBufferID: UInt16 { 0xCAFE }
  /// Send section index that says that there is none.
  @inlinable public static var noSection: UInt32 { 0xFFFF_FFFF }
  /// Entries of the table that spreads what a guest sends over its channels.
  @inlinable public static var sendTableCount: Int { 16 }
  /// Entries of the table that spreads what a guest receives, as we announce it. DPDK wants a power of two.
  @inlinable public static var indirectionCount: Int { 128 }
  /// Bytes of a frame's header: two addresses and a type.
  @inlinable public static var frameHeaderSize: Int { 14 }
  /// Ranges of a transfer-page packet that every guest takes: 64 before NDIS 6.0.
  @inlinable public static var maximumRanges: Int { 64 }
}
