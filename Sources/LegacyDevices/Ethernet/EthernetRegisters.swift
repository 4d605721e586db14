// SPDX-License-Identifier: Apache-2.0

/// Bits of the status register CSR5, and of CSR7, which enables them.
struct EthernetStatus: OptionSet, Sendable {
  var rawValue: UInt32

  static let transmitted = EthernetStatus(rawValue: 1 << 0)
  /// The next descriptor for sending is the driver's.
  static let noFrameToSend = EthernetStatus(rawValue: 1 << 2)
  /// The driver wanted to send more in one frame than there is in one.
  static let jabber = EthernetStatus(rawValue: 1 << 3)
  static let received = EthernetStatus(rawValue: 1 << 6)
  /// A frame came and the next descriptor for receiving is the driver's.
  static let noRoom = EthernetStatus(rawValue: 1 << 7)
  static let timer = EthernetStatus(rawValue: 1 << 11)
  /// A descriptor or buffer is not memory.
  static let busError = EthernetStatus(rawValue: 1 << 13)
  static let abnormalSummary = EthernetStatus(rawValue: 1 << 15)
  static let normalSummary = EthernetStatus(rawValue: 1 << 16)

  static let normal: EthernetStatus = [.transmitted, .noFrameToSend, .received, .timer]
  static let abnormal: EthernetStatus = [.jabber, .noRoom, .busError]
}

/// Bits of the operation mode register CSR6.
struct EthernetMode: OptionSet, Sendable {
  var rawValue: UInt32

  static let hashesGroups = EthernetMode(rawValue: 1 << 0)
  static let receives = EthernetMode(rawValue: 1 << 1)
  static let hashesAll = EthernetMode(rawValue: 1 << 2)
  static let inverse = EthernetMode(rawValue: 1 << 4)
  static let promiscuous = EthernetMode(rawValue: 1 << 6)
  static let allGroups = EthernetMode(rawValue: 1 << 7)
  static let loopback = EthernetMode(rawValue: 3 << 10)
  static let transmits = EthernetMode(rawValue: 1 << 13)
  /// The port for 100 Mb/s, and the switch of its clock to 10 Mb/s.
  static let fastPort = EthernetMode(rawValue: 1 << 18)
  static let slowClock = EthernetMode(rawValue: 1 << 22)
  static let receivesAll = EthernetMode(rawValue: 1 << 30)

  /// What the last setup frame has decided; not for the driver to write.
  static let filtering: EthernetMode = [.hashesGroups, .hashesAll, .inverse]
}

/// What the two processes do, as CSR5 says it in bits 17–19 and 20–22.
enum EthernetActivity: UInt32, Sendable {
  case stopped = 0
  /// Fetches descriptors.
  case fetching = 1
  /// Receiving: waits for a frame.
  case waiting = 3
  /// Receiving: without a descriptor.
  case withoutRoom = 4
  /// Sending: without a descriptor.
  case suspended = 6
}
