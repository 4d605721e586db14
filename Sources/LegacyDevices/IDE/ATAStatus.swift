// SPDX-License-Identifier: Apache-2.0

/// Bits of the status register.
enum ATAStatus {
  static let busy: UInt8 = 0x80
  static let ready: UInt8 = 0x40
  static let fault: UInt8 = 0x20
  static let seekComplete: UInt8 = 0x10
  static let dataRequest: UInt8 = 0x08
  static let error: UInt8 = 0x01
}

/// Bits of the error register.
enum ATAError {
  static let uncorrectable: UInt8 = 0x40
  static let idNotFound: UInt8 = 0x10
  static let aborted: UInt8 = 0x04
}

/// Bits of the device control register.
enum ATAControl {
  static let interruptsOff: UInt8 = 0x02
  static let softwareReset: UInt8 = 0x04
  static let highOrderByte: UInt8 = 0x80
}
