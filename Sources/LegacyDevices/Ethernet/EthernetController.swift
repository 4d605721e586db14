// SPDX-License-Identifier: Apache-2.0

public import DeviceProtocols

/// DEC's 21140 Ethernet controller, as Hyper-V's legacy network adapter has it: sixteen registers, two lists of descriptors
/// in the guest's memory, a filter of addresses that comes as a frame, a timer, and a serial ROM behind three wires.
///
/// A value: the owner passes accesses to registers, frames and time in, asks for frames to send while `hasWork`, and puts
/// `interrupt` on the line. Nothing is emulated of the wire: no collisions, no loss of carrier. Polling of descriptors by
/// the part itself (CSR0's TAP), big-endian descriptors and the MII port (there is nothing at it) are left out.
public struct EthernetController: Sendable {
  /// Registers are eight bytes apart.
  public static let portCount: UInt16 = 128
  /// The longest frame that is sent or received, with a tag and without checksum.
  public static let largestFrame = 1518
  static let smallestFrame = 60
  static let checksumBytes = 4

  public let address: EthernetAddress
  var registers = [UInt32](repeating: 0, count: 16)
  var status: EthernetStatus = []
  var mode: EthernetMode = []
  var filter = AddressFilter()
  var serialROM: SerialROMPort
  var missedFrames: UInt32 = 0
  var transmitting = EthernetActivity.stopped
  var receiving = EthernetActivity.stopped
  var transmitPosition: UInt32 = 0
  var receivePosition: UInt32 = 0
  /// The frame that is being collected, and how much of it there is. nil: none has begun.
  var frame = [UInt8](repeating: 0, count: largestFrame + checksumBytes)
  var frameByteCount: Int?
  var isOverlong = false
  var sentByteCount = 0
  /// A descriptor or buffer was not memory: nothing goes on before a reset.
  var hasFailed = false
  /// Counts the settings of the timer, so that the owner knows a new one.
  public private(set) var timerNumber: UInt64 = 0
  private var isTimerRunning = false

  /// Whether the link is there, for whoever looks at the pins.
  public var isLinkUp = false
  /// Whether PCI lets it read and write memory.
  public var mayMasterBus = false {
    didSet { if mayMasterBus, !oldValue, mode.contains(.transmits), !hasFailed { transmitting = .fetching } }
  }

  public init(address: EthernetAddress) {
    self.address = address
    serialROM = SerialROMPort(SerialROM.words(address))
    setDefaults()
  }

  /// After power on, a reset of the machine, and when the driver sets CSR0's first bit. Link and bus mastering are the
  /// owner's to tell.
  public mutating func reset() {
    registers = [UInt32](repeating: 0, count: 16)
    status = []
    mode = []
    filter = AddressFilter()
    serialROM.reset()
    missedFrames = 0
    transmitting = .stopped
    receiving = .stopped
    transmitPosition = 0
    receivePosition = 0
    frameByteCount = nil
    isOverlong = false
    hasFailed = false
    timerNumber &+= 1
    isTimerRunning = false
    setDefaults()
  }

  private mutating func setDefaults() {
    registers[0] = 0xFE00_0000
    registers[9] = 0xFFF0_0000
    registers[12] = 0xFFFF_FE00
  }

  // MARK: For the owner

  /// The level of the interrupt line.
  public var interrupt: Bool {
    let enabled = EthernetStatus(rawValue: registers[7])
    let raised = status.intersection(enabled)
    return enabled.contains(.normalSummary) && !raised.isDisjoint(with: .normal)
      || enabled.contains(.abnormalSummary) && !raised.isDisjoint(with: .abnormal)
  }

  /// Whether `transmit` has something to do.
  public var hasWork: Bool { transmitting == .fetching && mayMasterBus }

  /// Nanoseconds from the setting of the timer to its end; nil: it does not run.
  public var timerPeriod: UInt64? {
    guard isTimerRunning else { return nil }
    let unit: UInt64 =
      if !mode.contains(.fastPort) { 204_800 } else if mode.contains(.slowClock) { 819_200 } else { 81_920 }
    return UInt64(registers[11] & 0xFFFF) * unit
  }

  public mutating func timerEnded() {
    guard isTimerRunning else { return }
    status.insert(.timer)
    // Bit 16: again and again.
    if registers[11] & 1 << 16 == 0 { isTimerRunning = false } else { timerNumber &+= 1 }
  }

  /// A descriptor or buffer is not memory.
  mutating func fail() {
    hasFailed = true
    status.insert(.busError)
    transmitting = .stopped
    receiving = .stopped
    frameByteCount = nil
  }

  var descriptorSkip: UInt32 { (registers[0] >> 2 & 0x1F) * 4 }

  // MARK: For the guest

  /// `offset` into the ports. Only whole registers are there; what is narrower is a part of one, and other places read as
  /// zeros.
  public mutating func read(_ offset: Int, size: Int) -> UInt32 {
    guard (0..<Int(Self.portCount)).contains(offset), offset & 7 < 4 else { return 0 }
    return value(of: offset >> 3) >> UInt32((offset & 3) * 8)
  }

  private mutating func value(of register: Int) -> UInt32 {
    switch register {
    // Reading a demand gives ones.
    case 1, 2: return .max
    case 5: return statusWord
    case 6: return mode.union(filter.mode).rawValue
    case 8:
      defer { missedFrames = 0 }
      return min(missedFrames, 0xFFFF) | (missedFrames > 0xFFFF ? 1 << 16 : 0)
    case 9:
      // At the MII port the wire is high: nothing is there.
      let isROM = registers[9] & 1 << 11 != 0
      return registers[9] & ~UInt32(1 << 3) | 1 << 19 | (isROM && serialROM.output ? 1 << 3 : 0)
    case 12: return pins
    default: return registers[register]
    }
  }

  private var statusWord: UInt32 {
    let enabled = EthernetStatus(rawValue: registers[7])
    var word = status.rawValue & 0xFFFF
    if !status.intersection(enabled).isDisjoint(with: .normal) { word |= EthernetStatus.normalSummary.rawValue }
    if !status.intersection(enabled).isDisjoint(with: .abnormal) { word |= EthernetStatus.abnormalSummary.rawValue }
    word |= receiving.rawValue << 17 | transmitting.rawValue << 20
    // A master abort: nobody was at the address.
    if status.contains(.busError) { word |= 1 << 23 }
    return word
  }

  /// What a driver set, and what the plugs say.
  private var pins: UInt32 {
    var pins = registers[12] & 0x1F
    pins |= 1 << UInt32(SerialROM.slowLinkPin)
    if isLinkUp { pins |= 1 << UInt32(SerialROM.fastLinkPin) }
    return 0xFFFF_FE00 | pins
  }

  /// Writes that are not of a whole register do nothing.
  public mutating func write(_ offset: Int, size: Int, _ value: UInt32) {
    guard (0..<Int(Self.portCount)).contains(offset), offset & 7 == 0, size == 4 else { return }
    switch offset >> 3 {
    case 0:
      if value & 1 != 0 { reset() }
      registers[0] = value
    case 1: if mode.contains(.transmits), !hasFailed { transmitting = .fetching }
    case 2: if receiving == .withoutRoom { receiving = .waiting }
    case 3:
      registers[3] = value & ~3
      receivePosition = registers[3]
    case 4:
      registers[4] = value & ~3
      transmitPosition = registers[4]
      frameByteCount = nil
    case 5: status.subtract(EthernetStatus(rawValue: value))
    case 6: set(EthernetMode(rawValue: value))
    case 9:
      registers[9] = value
      serialROM.set(
        select: value & (1 << 11 | 1) == 1 << 11 | 1, clock: value & 2 != 0, data: value & 4 != 0)
    case 11:
      registers[11] = value & 0x1_FFFF
      isTimerRunning = value & 0xFFFF != 0
      timerNumber &+= 1
    // Bit 8: directions, which are the board's. Otherwise what the pins are to be.
    case 12: if value & 1 << 8 == 0 { registers[12] = value & 0xFF }
    case let register: registers[register] = value
    }
  }

  private mutating func set(_ new: EthernetMode) {
    mode = new.subtracting(.filtering)
    if !mode.contains(.transmits) {
      transmitting = .stopped
    } else if transmitting == .stopped, !hasFailed {
      transmitting = .fetching
    }
    if !mode.contains(.receives) {
      receiving = .stopped
    } else if receiving == .stopped, !hasFailed {
      receiving = .waiting
    }
  }
}
