// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import HostSystem
import LegacyDevices
import Partition
import ServiceProviders
import Synchronization
import VMBusHost
import VirtualSwitch

/// An emulated network adapter at work: the controller as a value behind a lock, its port of a switch, and one thread that
/// sends.
///
/// Processors call in with port accesses and never wait; frames for the guest come on the threads of those that send them.
/// Both take the lock for one access or frame. The thread takes it for one frame, and calls the switch without it.
///
/// The part's drivers have few buffers, and the wire that it was made for brings frames one by one. What comes faster here
/// waits in a queue with a bound until the driver, which tells nobody, has made room: the thread looks when the driver
/// writes a register, and every few milliseconds.
final class LegacyAdapter: NetworkDevice, SwitchPortSink {
  private struct State {
    var controller: EthernetController
    var memory: GuestDeviceMemory?
    /// Weak, since it holds its devices.
    weak var partition: Partition?
    /// The level of the interrupt line.
    var line = false
    var timerNumber: UInt64 = 0
    /// CLOCK_MONOTONIC, in nanoseconds.
    var deadline: UInt64?
    var statistics = NetworkStatistics()
    /// Frames for which the guest had no room yet, from `first` on.
    var waiting: [[UInt8]] = []
    var first = 0
    var waitingCount: Int { waiting.count - first }

    mutating func takeWaiting() -> [UInt8] {
      let bytes = waiting[first]
      waiting[first] = []
      first += 1
      if first == waiting.count {
        dropWaiting()
      } else if first >= LegacyAdapter.waitingLimit {
        waiting.removeFirst(first)
        first = 0
      }
      return bytes
    }

    mutating func dropWaiting() {
      waiting.removeAll(keepingCapacity: true)
      first = 0
    }
  }

  private struct Plug {
    var connection: (any SwitchConnection)?
    var number = 0
  }

  /// Those of ISA that nothing else has: as many as there can be adapters.
  private static let interrupts: [UInt8] = [11, 10, 5, 7]
  private static let firstSlot: UInt8 = 10
  private static let firstPort: UInt16 = 0xEC00
  /// Frames that are sent before the clock is looked at and receivers are told.
  private static let burst = 32
  /// Frames that wait for room at most.
  private static let waitingLimit = 512
  private static let patience: UInt64 = 4_000_000

  let name: String
  let slot: PCIAddress
  let route: PCIRoot.Route
  /// As firmware leaves it.
  let configuration: PCIConfigurationSpace
  private let interrupt: UInt32
  private let state: Mutex<State>
  private let plug = Mutex(Plug())
  private let plugNumber = Atomic(0)
  /// The first of its ports; 0: they are switched off.
  private let ports: Atomic<UInt32>
  private let bell: Bell
  private let stopping = Atomic(false)
  private let thread = Mutex<DedicatedThread?>(nil)

  private final class Bell: Sendable {
    let event: EventDescriptor
    init() throws(PartitionError) { event = try EventDescriptor.forPartition() }
  }

  /// `index` of those of the machine, from 0 on.
  init(_ address: EthernetAddress, name: String, index: Int) throws(PartitionError) {
    self.name = name
    let number = Self.interrupts[index % Self.interrupts.count]
    interrupt = UInt32(number)
    slot = PCIAddress(device: Self.firstSlot + UInt8(index))
    route = PCIRoot.Route(device: slot.device, pin: 0, interrupt: interrupt)
    configuration = .ethernet(
      ports: Self.firstPort + UInt16(index) * EthernetController.portCount, interrupt: number)
    state = Mutex(State(controller: EthernetController(address: address)))
    ports = Atomic(0)
    bell = try Bell()
    configured(configuration)
  }

  /// Once, before a processor runs.
  func connect(_ partition: Partition) throws(PartitionError) {
    try attach(partition.memory)
    state.withLock { $0.partition = partition }
  }

  /// Starts the thread.
  func attach(_ memory: GuestMemory) throws(PartitionError) {
    state.withLock { $0.memory = GuestDeviceMemory(memory: memory) }
    let started = try DedicatedThread.forPartition(name: "legacy-nic") { [self] in run() }
    thread.withLock { $0 = started }
  }

  /// No processor runs any more.
  func stop() {
    stopping.store(true, ordering: .releasing)
    bell.event.signal()
    thread.withLock { $0.take() }?.join()
  }

  // MARK: Processors

  func contains(_ port: UInt16) -> Bool {
    let base = ports.load(ordering: .acquiring)
    return base != 0 && UInt32(port) >= base && UInt32(port) - base < UInt32(EthernetController.portCount)
  }

  private func offset(_ port: UInt16) -> Int { Int(port) - Int(ports.load(ordering: .acquiring)) }

  /// The guest has written to its configuration.
  func configured(_ space: PCIConfigurationSpace) {
    ports.store(UInt32(space.ports(bar: PCIConfigurationSpace.ethernetBAR) ?? 0), ordering: .releasing)
    state.withLock { state in
      state.controller.mayMasterBus = space.mayMasterBus
      settle(&state)
    }
  }

  func portRead(_ port: UInt16, size: Int, into bytes: inout MutableRawSpan) {
    let offset = offset(port)
    let count = bytes.byteCount
    state.withLock { state in
      unsafe bytes.withUnsafeMutableBytes { bytes in
        for start in stride(from: 0, to: count, by: max(size, 1)) {
          let value = state.controller.read(offset, size: size)
          for index in 0..<min(size, count - start) {
            unsafe bytes[start + index] = UInt8(truncatingIfNeeded: index < 4 ? value >> UInt32(index * 8) : 0)
          }
        }
      }
    }
  }

  func portWrite(_ port: UInt16, size: Int, from bytes: RawSpan) {
    let offset = offset(port)
    state.withLock { state in
      unsafe bytes.withUnsafeBytes { bytes in
        for start in stride(from: 0, to: bytes.count, by: max(size, 1)) {
          var value: UInt32 = 0
          for index in 0..<min(size, 4, bytes.count - start) {
            value |= UInt32(unsafe bytes[start + index]) << UInt32(index * 8)
          }
          let hadWork = state.controller.hasWork
          state.controller.write(offset, size: size, value)
          if state.controller.hasWork && !hadWork || state.waitingCount > 0 { bell.event.signal() }
        }
      }
      settle(&state)
    }
  }

  /// The machine is reset; no processor runs. What the thread is about to send it has copied.
  func portsReset() {
    state.withLock { state in
      state.controller.reset()
      state.dropWaiting()
      settle(&state)
    }
    configured(configuration)
  }

  /// Puts the line as the controller wants it, and sees to its timer.
  private func settle(_ state: inout State) {
    let level = state.controller.interrupt
    if level != state.line {
      state.line = level
      state.partition?.setInterruptLine(interrupt, level)
    }
    guard state.timerNumber != state.controller.timerNumber else { return }
    state.timerNumber = state.controller.timerNumber
    state.deadline = state.controller.timerPeriod.map { MachineClock.monotonic() &+ $0 }
    if state.deadline != nil { bell.event.signal() }
  }

  // MARK: The thread

  private enum Turn {
    case frame([UInt8])
    case more
    case wait(nanoseconds: UInt64?)
  }

  private func run() {
    var sender: (any FrameSender)?
    var number = -1
    while !stopping.load(ordering: .acquiring) {
      if plugNumber.load(ordering: .acquiring) != number {
        let port = plug.withLock { ($0.connection, $0.number) }
        (sender, number) = (port.0?.makeSender(), port.1)
      }
      var turn = Turn.more
      for _ in 0..<Self.burst {
        turn = takeTurn()
        guard case .frame(let bytes) = turn else { break }
        FrameView.with(bytes) { _ = sender?.send($0) }
      }
      sender?.flush()
      guard case .wait(let nanoseconds) = turn else { continue }
      if let nanoseconds { bell.event.wait(nanoseconds: nanoseconds) } else { bell.event.wait() }
    }
  }

  private func takeTurn() -> Turn {
    state.withLock { state in
      defer { settle(&state) }
      if let deadline = state.deadline, deadline <= MachineClock.monotonic() {
        state.deadline = nil
        state.controller.timerEnded()
      }
      guard let memory = state.memory else { return .wait(nanoseconds: nil) }
      while state.waitingCount > 0, state.controller.hasRoom(for: state.waiting[state.first].count, memory: memory) {
        let bytes = state.takeWaiting()
        _ = receive(bytes, memory, &state)
      }
      switch state.controller.transmit(memory: memory) {
      case .frame(let isLooped):
        let bytes = Array(state.controller.sentFrame)
        state.statistics.transmittedFrames &+= 1
        state.statistics.transmittedBytes &+= UInt64(bytes.count)
        guard isLooped else { return .frame(bytes) }
        _ = receive(bytes, memory, &state)
        return .more
      case .unfinished: return .more
      case .idle:
        let now = MachineClock.monotonic()
        let timer = state.deadline.map { $0 > now ? $0 - now : 0 }
        return .wait(nanoseconds: state.waitingCount > 0 ? min(timer ?? Self.patience, Self.patience) : timer)
      }
    }
  }

  // MARK: Frames for the guest

  func accept(_ frame: FrameView, from sender: Int) -> Bool {
    let bytes = frame.bytes
    return state.withLock { state in
      guard let memory = state.memory else { return false }
      // In their order.
      if state.waitingCount > 0 { return keep(bytes, &state) }
      guard receive(bytes, memory, &state) else {
        settle(&state)
        return false
      }
      return true
    }
  }

  /// false: too many wait already.
  private func keep(_ bytes: [UInt8], _ state: inout State) -> Bool {
    guard state.waitingCount < Self.waitingLimit else {
      state.statistics.withoutBuffer &+= 1
      return false
    }
    state.waiting.append(bytes)
    return true
  }

  private func receive(_ bytes: [UInt8], _ memory: GuestDeviceMemory, _ state: inout State) -> Bool {
    switch state.controller.receive(bytes, memory: memory, keeps: state.waitingCount < Self.waitingLimit) {
    case .received:
      state.statistics.receivedFrames &+= 1
      state.statistics.receivedBytes &+= UInt64(bytes.count)
      return true
    case .unwanted: return true
    case .noRoom:
      let isKept = keep(bytes, &state)
      // The driver hears that its buffers are used up.
      settle(&state)
      bell.event.signal()
      return isKept
    case .notReady:
      state.statistics.receiveErrors &+= 1
      return false
    }
  }

  /// One interrupt for what came together.
  func endBurst(from sender: Int) { state.withLock { settle(&$0) } }

  // MARK: For its owner

  /// It is on PCI, from the start to the end.
  func offer(on bus: PartitionBus) throws(BusServerError) {}
  func withdraw(from bus: PartitionBus) {}
  /// Its ports are reset with the others.
  func reset() {}

  func connect(
    _ make: (any SwitchPortSink, PortCapabilities) throws(SwitchError) -> (any SwitchConnection)?
  ) throws(SwitchError) -> (any SwitchConnection)? {
    let connection = try make(self, .none)
    return plug.withLock { plug in
      let old = plug.connection
      plug.connection = connection
      plug.number += 1
      plugNumber.store(plug.number, ordering: .releasing)
      return old
    }
  }

  var connection: (any SwitchConnection)? { plug.withLock { $0.connection } }
  func setLink(isUp: Bool) { state.withLock { $0.controller.isLinkUp = isUp } }
  /// A guest sets its filter only; what it sends is the switch's to judge.
  func allowAddressChange(_ isAllowed: Bool) {}
  var isLinkUp: Bool { state.withLock { $0.controller.isLinkUp } }
  var channelCount: Int { 0 }
  var statistics: NetworkStatistics { state.withLock { $0.statistics } }
  var guestView: NetworkGuestView {
    NetworkGuestView(address: state.withLock { $0.controller.address }, mtu: 1500, version: nil)
  }
}
