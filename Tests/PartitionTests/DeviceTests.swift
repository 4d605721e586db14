// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Partition

@Suite struct UARTTests {
  /// The steps by which Linux' 8250 driver tells a 16550A (autoconfig, autoconfig_16550a).
  @Test func isRecognisedAs16550A() {
    var uart = UART16550()
    _ = uart.write(1, 0)
    #expect(uart.read(1) & 0x0F == 0)
    _ = uart.write(1, 0x0F)
    #expect(uart.read(1) & 0x0F == 0x0F)
    _ = uart.write(1, 0)
    _ = uart.write(4, 0x1A)  // loopback, OUT2 and RTS
    #expect(uart.read(6) & 0xF0 == 0x90)
    _ = uart.write(4, 0)
    _ = uart.write(2, 1)
    #expect(uart.read(2) >> 6 == 3)
    _ = uart.write(7, 0x5A)
    #expect(uart.read(7) == 0x5A)
  }

  @Test func transmitterInterruptFiresAtOnceAndOnceOnly() {
    var uart = UART16550()
    #expect(!uart.interrupt)
    _ = uart.write(1, 2)
    #expect(uart.interrupt)
    #expect(uart.read(2) & 0x0F == 0x02)
    #expect(!uart.interrupt)
    #expect(uart.write(0, 0x41) == 0x41)
    #expect(uart.interrupt)
    #expect(uart.read(2) & 0x0F == 0x02)
    #expect(uart.read(2) & 0x0F == 0x01)
    _ = uart.write(1, 0)
    _ = uart.write(1, 2)
    #expect(uart.interrupt)
  }

  @Test func divisorIsBehindItsLatch() {
    var uart = UART16550()
    _ = uart.write(3, 0x80)
    #expect(uart.write(0, 1) == nil)
    _ = uart.write(1, 0)
    #expect(uart.read(0) == 1 && uart.read(1) == 0)
    _ = uart.write(3, 3)
    #expect(uart.write(0, 0x42) == 0x42)
  }

  @Test func receiverIsBoundedAndInOrder() {
    var uart = UART16550()
    let bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0) }
    #expect(uart.receive(bytes) == UART16550.receiveLimit)
    #expect(uart.receive([1]) == 0)
    #expect(!uart.interrupt)
    _ = uart.write(1, 1)
    #expect(uart.interrupt && uart.read(2) & 0x0F == 0x04)
    for expected in bytes.prefix(UART16550.receiveLimit) {
      #expect(uart.read(5) & 1 == 1)
      #expect(uart.read(0) == expected)
    }
    #expect(uart.read(5) & 1 == 0 && !uart.interrupt && uart.read(0) == 0)
    #expect(uart.receive([7]) == 1)
    _ = uart.write(2, 3)
    #expect(uart.read(5) & 1 == 0)
  }

  @Test func aSlowReaderHoldsTheGuestBack() {
    var uart = UART16550()
    _ = uart.write(1, 2)
    _ = uart.read(2)
    uart.setTransmitterReady(false)
    #expect(uart.read(5) & 0x60 == 0)
    #expect(!uart.interrupt)
    uart.setTransmitterReady(true)
    #expect(uart.read(5) & 0x60 == 0x60)
    #expect(uart.interrupt)
  }

  @Test func loopbackReturnsBytes() {
    var uart = UART16550()
    _ = uart.write(4, 0x10)
    #expect(uart.write(0, 0x33) == nil)
    #expect(uart.read(0) == 0x33)
  }

  /// Any registers in any order: no trap, and never more received than the bound.
  @Test func randomAccessesNeverTrap() {
    var uart = UART16550()
    var random: UInt64 = 42
    for _ in 0..<200_000 {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let offset = UInt16(random >> 33 & 7)
      switch random >> 40 & 3 {
      case 0: _ = uart.read(offset)
      case 1: _ = uart.receive([UInt8](repeating: 1, count: Int(random >> 50 & 0x3FF)))
      default: _ = uart.write(offset, UInt8(truncatingIfNeeded: random >> 48))
      }
      #expect(uart.receiverRoom >= 0)
    }
  }
}

@Suite struct PlatformTests {
  @Test func emptyPortsAreAllOnes() {
    let ports = PlatformPorts(serial: nil)
    for port: UInt16 in [0, 0x60, 0x3F8, 0x3FD, 0x92, 0xFFFF] {
      #expect(UInt8(truncatingIfNeeded: ports.read(port, size: 1)) == 0xFF)
      #expect(ports.write(port, size: 1, 0x55) == .none)
    }
    #expect(ports.read(Port.systemControl, size: 1) == 0)
  }

  @Test func powerOffNeedsBothTheTypeAndTheEnableBit() {
    let ports = PlatformPorts(serial: nil)
    #expect(ports.read(Port.pm1Control, size: 2) == 1)
    #expect(ports.write(Port.pm1Control, size: 2, 5 << 10) == .none)
    #expect(ports.write(Port.pm1Control, size: 2, 1 << 13) == .none)
    #expect(ports.write(Port.pm1Control, size: 2, 5 << 10 | 1 << 13) == .powerOff)
  }

  @Test func resets() {
    let ports = PlatformPorts(serial: nil)
    #expect(ports.write(Port.reset, size: 1, 0x02) == .none)
    #expect(ports.write(Port.reset, size: 1, UInt32(ACPITables.resetValue)) == .reset)
    #expect(ports.write(Port.keyboardCommand, size: 1, 0xFE) == .reset)
    #expect(ports.write(Port.keyboardCommand, size: 1, 0xD1) == .none)
    #expect(ports.read(Port.keyboardCommand, size: 1) & 2 == 0)
  }

  @Test func pciHasOneHostBridgeAndNothingElse() {
    let ports = PlatformPorts(serial: nil)
    func configuration(_ address: UInt32, _ port: UInt16 = Port.pciData, size: Int = 4) -> UInt32 {
      _ = ports.write(Port.pciAddress, size: 4, address)
      return ports.read(port, size: size)
    }
    #expect(configuration(0x8000_0000) == 0x7192_8086)
    #expect(ports.read(Port.pciAddress, size: 4) == 0x8000_0000)
    #expect(UInt16(truncatingIfNeeded: configuration(0x8000_0008, Port.pciData + 2, size: 2)) == 0x0600)
    for address: UInt32 in [0, 0x8000_0800, 0x8000_0100, 0x8001_0000, 0xFFFF_FFFF] {
      #expect(configuration(address) == .max)
    }
  }

  @Test func configurationPortsBelongToWhoeverHasPCI() {
    #expect(PlatformPorts(serial: nil).owns(Port.pciData, size: 4))
    let ports = PlatformPorts(serial: nil, hasPCI: true)
    for port: UInt16 in [Port.pciAddress, Port.pciData, 0x1F0, 0xFFA0] { #expect(!ports.owns(port, size: 4)) }
    // One byte at 0xCF9 is the reset register, four there a configuration access.
    #expect(ports.owns(Port.reset, size: 1) && !ports.owns(Port.reset, size: 4))
    for port: UInt16 in [Port.rtcIndex, Port.rtcData, Port.pm1Control, Port.keyboardCommand] {
      #expect(ports.owns(port, size: 1))
    }
  }

  /// Seconds since 1970 and the registers: second, minute, hour, weekday, day, month, year, century.
  static let times: [(Int64, [UInt8])] = [
    (0, [0x00, 0x00, 0x00, 5, 0x01, 0x01, 0x70, 0x19]),
    (951_782_399, [0x59, 0x59, 0x23, 2, 0x28, 0x02, 0x00, 0x20]),
    (951_782_400, [0x00, 0x00, 0x00, 3, 0x29, 0x02, 0x00, 0x20]),
    (1_795_363_174, [0x34, 0x59, 0x15, 1, 0x22, 0x11, 0x26, 0x20]),
    (4_107_542_399, [0x59, 0x59, 0x23, 1, 0x28, 0x02, 0x00, 0x21]),
    (4_107_542_400, [0x00, 0x00, 0x00, 2, 0x01, 0x03, 0x00, 0x21]),
    (-5, [0x00, 0x00, 0x00, 5, 0x01, 0x01, 0x70, 0x19]),
  ]

  @Test(arguments: times) func clockTellsTheTime(seconds: Int64, expected: [UInt8]) {
    var clock = RealTimeClock()
    let registers: [UInt8] = [0, 2, 4, 6, 7, 8, 9, RealTimeClock.centuryRegister]
    let values = registers.map { register in
      clock.select(register)
      return clock.read(at: seconds)
    }
    #expect(values == expected)
    clock.select(0x0A)
    #expect(clock.read(at: seconds) & 0x80 == 0)  // never an update in progress
    clock.select(0x0B)
    clock.write(0xFF)
    #expect(clock.read(at: seconds) & 0x86 == 0x02)
  }
}
