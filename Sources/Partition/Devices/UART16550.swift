// SPDX-License-Identifier: Apache-2.0

/// A 16550A as a value: registers in, bytes and an interrupt level out. The transmitter is as fast as its reader: a byte
/// written to it is gone at once, unless the reader has fallen behind (`transmitterReady` false).
struct UART16550: Sendable {
  static let receiveLimit = 4096

  private var interruptEnable: UInt8 = 0
  private var fifoEnabled = false
  private var lineControl: UInt8 = 0
  private var modemControl: UInt8 = 0
  private var scratch: UInt8 = 0
  private var divisor: UInt16 = 12
  private var transmitEmptyPending = false
  private var received: [UInt8] = []
  private var receivedHead = 0
  private var overrun = false

  /// Set by the owner. Becoming true again is an "empty" event for the guest.
  private(set) var transmitterReady = true

  init() {}

  private var divisorAccess: Bool { lineControl & 0x80 != 0 }
  private var loopback: Bool { modemControl & 0x10 != 0 }
  private var receiverCount: Int { received.count - receivedHead }
  var receiverRoom: Int { Self.receiveLimit - receiverCount }

  /// Interrupt identification without its FIFO bits: the highest pending source.
  private var interruptSource: UInt8 {
    if overrun, interruptEnable & 4 != 0 { return 0x06 }
    if receiverCount > 0, interruptEnable & 1 != 0 { return 0x04 }
    if transmitEmptyPending, interruptEnable & 2 != 0 { return 0x02 }
    return 0x01
  }

  /// The level of the interrupt line.
  var interrupt: Bool { interruptSource & 1 == 0 }

  mutating func setTransmitterReady(_ ready: Bool) {
    if ready, !transmitterReady { transmitEmptyPending = true }
    transmitterReady = ready
  }

  /// Bytes for the guest; returns how many were taken.
  mutating func receive(_ bytes: [UInt8]) -> Int {
    let count = min(bytes.count, receiverRoom)
    if receivedHead > 0, receivedHead == received.count {
      received.removeAll(keepingCapacity: true)
      receivedHead = 0
    } else if receivedHead > Self.receiveLimit {
      received.removeFirst(receivedHead)
      receivedHead = 0
    }
    received.append(contentsOf: bytes.prefix(count))
    return count
  }

  /// Register `offset` 0–7.
  mutating func read(_ offset: UInt16) -> UInt8 {
    switch offset {
    case 0:
      if divisorAccess { return UInt8(truncatingIfNeeded: divisor) }
      guard receiverCount > 0 else { return 0 }
      let byte = received[receivedHead]
      receivedHead += 1
      if receivedHead == received.count {
        received.removeAll(keepingCapacity: true)
        receivedHead = 0
      }
      return byte
    case 1: return divisorAccess ? UInt8(truncatingIfNeeded: divisor >> 8) : interruptEnable
    case 2:
      let source = interruptSource
      if source == 0x02 { transmitEmptyPending = false }
      return source | (fifoEnabled ? 0xC0 : 0)
    case 3: return lineControl
    case 4: return modemControl
    case 5:
      let status: UInt8 = (receiverCount > 0 ? 0x01 : 0) | (overrun ? 0x02 : 0) | (transmitterReady ? 0x60 : 0)
      overrun = false
      return status
    case 6:
      guard loopback else { return 0xB0 }  // carrier, data set ready, clear to send
      // In loopback the four outputs come back as inputs.
      return (modemControl & 0x01) << 5 | (modemControl & 0x02) << 3 | (modemControl & 0x0C) << 4
    default: return scratch
    }
  }

  /// Returns the byte that leaves the port, if this was one.
  mutating func write(_ offset: UInt16, _ value: UInt8) -> UInt8? {
    switch offset {
    case 0:
      if divisorAccess {
        divisor = divisor & 0xFF00 | UInt16(value)
        return nil
      }
      if loopback {
        if receive([value]) == 0 { overrun = true }
        transmitEmptyPending = true
        return nil
      }
      transmitEmptyPending = transmitterReady
      return value
    case 1:
      if divisorAccess {
        divisor = divisor & 0x00FF | UInt16(value) << 8
        return nil
      }
      // Enabling the interrupt while the transmitter is empty raises it: Linux tests for that.
      if value & 2 != 0, interruptEnable & 2 == 0, transmitterReady { transmitEmptyPending = true }
      interruptEnable = value & 0x0F
    case 2:
      fifoEnabled = value & 1 != 0
      if value & 2 != 0 {
        received.removeAll(keepingCapacity: true)
        receivedHead = 0
        overrun = false
      }
    case 3: lineControl = value
    case 4: modemControl = value & 0x1F
    case 7: scratch = value
    default: break
    }
    return nil
  }
}
