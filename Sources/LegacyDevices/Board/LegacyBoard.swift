// SPDX-License-Identifier: Apache-2.0

public import VirtualDisks

/// The mainboard of a generation 1 machine: the PCI host bridge and, behind it, PIIX4's IDE controller with up to four
/// drives. A value: accesses of a guest and ends of requests go in, effects come out. Other functions are here with their
/// configuration only; their owners hear of its changes.
public struct LegacyBoard: Sendable {
  static let isaBridge = PCIAddress(device: 7)
  static let ideController = PCIAddress(device: 7, function: 1)
  /// The first port of each channel's command block (8 ports) and its control port.
  static let commandPorts: [UInt16] = [0x1F0, 0x170]
  static let controlPorts: [UInt16] = [0x3F6, 0x376]
  /// Interrupts of the channels. Edge-triggered, as everything of ISA's.
  public static let interrupts: [UInt32] = [14, 15]

  private var bridge: PCIHostBridge
  private var channels: [IDEChannel]
  private var drives: [IDEPosition: DriveCharacteristics]
  /// As they are after power on.
  private let functions: [PCIAddress: PCIConfigurationSpace]
  /// Drives that somebody else serves for now.
  private var withheld: Set<IDEPosition> = []
  /// Commands that a guest gave to a drive while it was withheld.
  private var refused: [IDEPosition: UInt64] = [:]

  public init(
    drives: [IDEPosition: DriveCharacteristics], functions: [PCIAddress: PCIConfigurationSpace] = [:]
  ) {
    self.drives = drives
    self.functions = functions
    bridge = Self.makeBridge(drives, functions)
    channels = [0, 1].map { channel in
      IDEChannel(
        number: channel,
        [0, 1].map { unit in Self.drive(drives[IDEPosition.allCases[channel * 2 + unit]]) })
    }
  }

  private static func makeBridge(
    _ drives: [IDEPosition: DriveCharacteristics], _ functions: [PCIAddress: PCIConfigurationSpace]
  ) -> PCIHostBridge {
    var bridge = PCIHostBridge()
    for (address, function) in functions { bridge.add(function, at: address) }
    bridge.add(.isaBridge, at: isaBridge)
    let decodes = [0, 1].map { channel in drives.keys.contains { $0.channel == channel } }
    bridge.add(.ideController(decodes: decodes), at: ideController)
    return bridge
  }

  private static func drive(_ characteristics: DriveCharacteristics?) -> IDEUnit.Drive {
    guard let characteristics else { return .none }
    return characteristics.kind == .dvd
      ? .packet(ATAPIDevice(characteristics)) : .disk(ATADisk(characteristics))
  }

  private var controller: PCIConfigurationSpace? { bridge[Self.ideController] }
  private var mastersBus: Bool { (controller?.command ?? 0) & PCIConfigurationSpace.mastersBus != 0 }

  /// The bus master's 16 ports: 8 a channel. nil: they are switched off.
  public var busMasterPorts: UInt16? { controller?.ports(bar: PCIConfigurationSpace.busMasterBAR) }

  /// Ports whose writing has no effect that a guest could see before its next access to another port of the board. May
  /// be collected and written later, in order: parameters of commands, the bus master's status and table address.
  public var batchablePorts: [(base: UInt16, count: UInt16)] {
    var ports = Self.commandPorts.map { (base: $0 + 1, count: UInt16(6)) }
    if let busMaster = busMasterPorts {
      for channel: UInt16 in [0, 8] {
        ports.append((base: busMaster + channel + 2, count: 1))
        ports.append((base: busMaster + channel + 4, count: 4))
      }
    }
    return ports
  }

  // MARK: for a guest

  private enum Place {
    case configuration
    case command(Int, offset: Int)
    case control(Int)
    case busMaster(Int, offset: Int)
  }

  private func place(of port: UInt16) -> Place? {
    if PCIHostBridge.contains(port) { return .configuration }
    guard let controller else { return nil }
    for channel in channels.indices where controller.decodesChannel(channel) {
      let base = Self.commandPorts[channel]
      if port >= base, port < base + 8 { return .command(channel, offset: Int(port - base)) }
      if port == Self.controlPorts[channel] { return .control(channel) }
    }
    if let base = controller.ports(bar: PCIConfigurationSpace.busMasterBAR), port >= base, port - base < 16 {
      return .busMaster(Int(port - base) / 8, offset: Int(port - base) % 8)
    }
    return nil
  }

  /// Fills `bytes`, one run of accesses of `size` bytes to `port`. Where nothing answers, ones.
  public mutating func read(
    _ port: UInt16, size: Int, into bytes: inout MutableRawSpan, _ effects: inout [IDEEffect]
  ) {
    guard size > 0 else { return }
    if case .command(let channel, offset: 0) = place(of: port) {
      return channels[channel].readData(into: &bytes, &effects)
    }
    let count = bytes.byteCount
    if case .configuration = place(of: port) {
      for start in stride(from: 0, to: count, by: size) {
        let value = bridge.read(port, size: size)
        for index in 0..<min(size, count - start) {
          Self.store(index < 4 ? UInt8(truncatingIfNeeded: value >> UInt32(index * 8)) : 0xFF, &bytes, start + index)
        }
      }
      return
    }
    // Wider accesses are as many of one byte, side by side.
    for index in 0..<count {
      Self.store(readByte(port &+ UInt16(truncatingIfNeeded: index % size), &effects), &bytes, index)
    }
  }

  private static func store(_ byte: UInt8, _ bytes: inout MutableRawSpan, _ index: Int) {
    unsafe bytes.withUnsafeMutableBytes { buffer in unsafe buffer[index] = byte }
  }

  private mutating func readByte(_ port: UInt16, _ effects: inout [IDEEffect]) -> UInt8 {
    switch place(of: port) {
    case .command(let channel, let offset) where offset > 0: channels[channel].readRegister(offset, &effects)
    case .control(let channel): channels[channel].readAlternateStatus()
    case .busMaster(let channel, let offset): channels[channel].master.read(offset)
    default: 0xFF
    }
  }

  /// Takes `bytes`, one run of accesses of `size` bytes to `port`.
  public mutating func write(_ port: UInt16, size: Int, from bytes: RawSpan, _ effects: inout [IDEEffect]) {
    guard size > 0 else { return }
    let count = bytes.byteCount
    switch place(of: port) {
    case .command(let channel, offset: 0): channels[channel].writeData(from: bytes, &effects)
    case .configuration:
      for start in stride(from: 0, to: count, by: size) {
        var value: UInt32 = 0
        for index in 0..<min(size, 4, count - start) {
          value |= UInt32(Self.load(bytes, start + index)) << UInt32(index * 8)
        }
        configure(port, size: size, value, &effects)
      }
    default:
      for index in 0..<count {
        writeByte(port &+ UInt16(truncatingIfNeeded: index % size), Self.load(bytes, index), &effects)
      }
    }
  }

  private static func load(_ bytes: RawSpan, _ index: Int) -> UInt8 {
    unsafe bytes.withUnsafeBytes { buffer in unsafe buffer[index] }
  }

  private mutating func writeByte(_ port: UInt16, _ value: UInt8, _ effects: inout [IDEEffect]) {
    let enabled = mastersBus
    switch place(of: port) {
    case .command(let channel, let offset) where offset > 0:
      let position = channels[channel].selectedPosition
      if offset == 7, withheld.contains(position) { refused[position, default: 0] &+= 1 }
      channels[channel].writeRegister(offset, value, busMasterEnabled: enabled, &effects)
    case .control(let channel): channels[channel].writeControl(value, &effects)
    case .busMaster(let channel, let offset):
      channels[channel].writeBusMaster(offset, value, enabled: enabled, &effects)
    default: break
    }
  }

  private mutating func configure(_ port: UInt16, size: Int, _ value: UInt32, _ effects: inout [IDEEffect]) {
    let before = busMasterPorts
    guard let changed = bridge.write(port, size: size, value) else { return }
    guard changed == Self.ideController else {
      if functions[changed] != nil, let space = bridge[changed] { effects.append(.configured(changed, space)) }
      return
    }
    if busMasterPorts != before { effects.append(.busMasterPorts(busMasterPorts)) }
    let enabled = mastersBus
    for channel in channels.indices { channels[channel].startBusMaster(enabled: enabled, &effects) }
  }

  // MARK: for the owner

  /// A request ended. Its buffers, in the guest or here, are not used any more.
  public mutating func complete(_ request: IDERequest, _ outcome: IDEOutcome, _ effects: inout [IDEEffect]) {
    channels[request.position.channel].complete(
      request.number, unit: request.position.unit, outcome, busMasterEnabled: mastersBus, &effects)
  }

  /// Power-on state, with drives present as configured. Requests under way are forgotten; who carries them out waits for
  /// their end before anything of the guest's next life runs.
  public mutating func reset() {
    let (drives, functions) = (drives, functions)
    let numbers = channels
    let refused = refused
    self = LegacyBoard(drives: drives, functions: functions)
    self.refused = refused
    for channel in channels.indices { channels[channel].keepNumbers(of: numbers[channel]) }
  }

  /// Makes a drive absent, or lets it be seen again. While its other face, the synthetic one, is in use, a drive is absent
  /// here, so that no two sides write. Its request under way, if any, ends as usual but for its interrupt.
  public mutating func setWithheld(_ isWithheld: Bool, _ position: IDEPosition, _ effects: inout [IDEEffect]) {
    guard isWithheld != withheld.contains(position) else { return }
    if isWithheld { withheld.insert(position) } else { withheld.remove(position) }
    channels[position.channel].setDrive(
      isWithheld ? .none : Self.drive(drives[position]), unit: position.unit, &effects)
  }

  public func isWithheld(_ position: IDEPosition) -> Bool { withheld.contains(position) }

  /// Commands that a guest gave to this drive while it was withheld. None of them did anything.
  public func refusedCommands(_ position: IDEPosition) -> UInt64 { refused[position] ?? 0 }

  /// A disk grew or shrank.
  public mutating func resize(_ position: IDEPosition, byteCount: UInt64) {
    guard var drive = drives[position], drive.kind == .disk else { return }
    drive.byteCount = byteCount
    drives[position] = drive
    channels[position.channel].update(drive, unit: position.unit)
  }

  /// Puts a disc into a DVD drive, in place of the one that may be there.
  public mutating func insertDisc(_ position: IDEPosition, byteCount: UInt64) {
    guard let drive = drives[position], drive.kind == .dvd else { return }
    drives[position]?.byteCount = byteCount
    _ = channels[position.channel].withDVD(unit: position.unit) { $0.insert(byteCount: byteCount) }
  }

  /// Takes the disc out, locked or not.
  public mutating func removeDisc(_ position: IDEPosition) {
    guard let drive = drives[position], drive.kind == .dvd else { return }
    drives[position]?.byteCount = 0
    _ = channels[position.channel].withDVD(unit: position.unit) { $0.removeDisc() }
  }

  /// Presses the drive's button. false: the guest has locked the door, and is asked; `.ejected` follows when it agrees.
  public mutating func requestEject(_ position: IDEPosition) -> Bool {
    let isOut = channels[position.channel].withDVD(unit: position.unit) { $0.requestEject() } ?? true
    if isOut { drives[position]?.byteCount = 0 }
    return isOut
  }
}
