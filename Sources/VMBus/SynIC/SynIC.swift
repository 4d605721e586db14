// SPDX-License-Identifier: Apache-2.0

/// Numbers of the synthetic interrupt controller (Hypervisor Top-Level Functional Specification, chapter 11), as far
/// as both ends of the bus need them.
public enum SynIC {
  public static let pageSize = 4096
  /// Bytes for one synthetic interrupt in the message page and in the event flags page.
  public static let slotSize = 256
  public static let interruptCount: UInt32 = 16
  /// The synthetic interrupt that Linux uses for the bus.
  public static let busInterrupt: UInt8 = 2
  public static let flagCount: UInt32 = 2048
  /// SynIC message type of a channel message. 0 is a free slot, 0x80000010 a timer's expiry.
  public static let channelMessageType: UInt32 = 1
}
