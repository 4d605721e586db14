// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// Everything behind I/O ports: power management, reset, clock, serial port. Where there is no device, reads give ones and
/// writes go nowhere, which tells Linux at once that there is no keyboard controller and so on.
final class PlatformPorts: Sendable {
  enum Outcome: Equatable, Sendable {
    case none
    case powerOff
    case reset
  }

  private struct State {
    var clock = RealTimeClock()
    var pci = PCIConfiguration()
    var powerEnable: UInt16 = 0
    /// SCI_EN: the machine is in ACPI mode from the start.
    var powerControl: UInt16 = 1
  }

  private let state = Mutex(State())
  private let serial: SerialPort?
  /// Whether PCI's configuration ports belong to somebody else.
  private let hasPCI: Bool

  init(serial: SerialPort?, hasPCI: Bool = false) {
    self.serial = serial
    self.hasPCI = hasPCI
  }

  /// Whether an access belongs here where the machine has further devices.
  func owns(_ port: UInt16, size: Int) -> Bool {
    switch port {
    case Port.rtcIndex, Port.rtcData, Port.pm1Status, Port.pm1Enable, Port.pm1Control, Port.keyboardCommand,
      Port.systemControl:
      true
    case Port.reset: size == 1 || !hasPCI
    case let port where PCIConfiguration.contains(port): !hasPCI
    default: serial != nil && port >= Port.serial && port < Port.serial + Port.serialCount
    }
  }

  func reset() { state.withLock { $0 = State() } }

  /// One IN of `size` bytes.
  func read(_ port: UInt16, size: Int) -> UInt32 {
    if let serial, port >= Port.serial, port < Port.serial + Port.serialCount {
      return UInt32(serial.read(port - Port.serial)) | (size > 1 ? 0xFFFF_FF00 : 0)
    }
    switch port {
    case Port.rtcData:
      var now = timespec()
      unsafe clock_gettime(CLOCK_REALTIME, &now)
      return UInt32(state.withLock { $0.clock.read(at: Int64(now.tv_sec)) })
    case Port.pm1Status: return size == 4 ? UInt32(state.withLock { $0.powerEnable }) << 16 : 0
    case Port.pm1Enable: return UInt32(state.withLock { $0.powerEnable })
    case Port.pm1Control: return UInt32(state.withLock { $0.powerControl })
    // Ready for a command: Linux waits for that before it resets the machine here (reboot=k).
    case Port.keyboardCommand: return 0
    case Port.systemControl: return 0  // no memory parity error, no I/O check: an NMI is somebody's wish
    case let port where PCIConfiguration.contains(port):
      return state.withLock { $0.pci.read(port, size: size) }
    default: return .max
    }
  }

  /// One OUT of `size` bytes.
  func write(_ port: UInt16, size: Int, _ value: UInt32) -> Outcome {
    if let serial, port >= Port.serial, port < Port.serial + Port.serialCount {
      serial.write(port - Port.serial, UInt8(truncatingIfNeeded: value))
      return .none
    }
    let byte = UInt8(truncatingIfNeeded: value)
    let word = UInt16(truncatingIfNeeded: value)
    switch port {
    case Port.rtcIndex: state.withLock { $0.clock.select(byte) }
    case Port.rtcData: state.withLock { $0.clock.write(byte) }
    case Port.pm1Enable: state.withLock { $0.powerEnable = word }
    case Port.pm1Control:
      // Bit 13 SLP_EN, bits 10–12 SLP_TYP.
      if word & 1 << 13 != 0, UInt8(word >> 10 & 7) == ACPITables.sleepTypeOff { return .powerOff }
      state.withLock { $0.powerControl = word & ~(1 << 13) | 1 }
    case let port where port != Port.reset && PCIConfiguration.contains(port):
      state.withLock { $0.pci.write(port, size: size, value) }
    case Port.reset: if byte & 0x04 != 0 { return .reset }
    case Port.keyboardCommand: if byte == 0xFE { return .reset }
    default: break
    }
    return .none
  }
}
