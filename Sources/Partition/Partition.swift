// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization
import VMBus

/// A KVM virtual machine that looks like a Hyper-V partition to Linux.
///
/// Threads: one per processor (`vp0`…) in KVM_RUN, and `synic`, which watches for freed message slots, and `serial`, which
/// carries the console's output. The steering methods (`start`, `pause`, `resume`, `reset`, `stop`) may be called from any
/// thread but those; they wait for each other.
///
/// Time: the guest's reference time (TIME_REF_COUNT, the reference TSC page, the synthetic timers) is KVM's clock of the
/// virtual machine. It stands still while the partition is paused: at `pause` it is read, at `resume` it is set back to
/// that (KVM_SET_CLOCK; KVM then gives the TSC page a new offset). Linux takes its scheduler's clock and its time of day
/// from there, so a pause of any length looks like no time at all: no soft lockups, no RCU stalls, and the time service's
/// "set now" afterwards brings the wall clock forward. KVM_KVMCLOCK_CTRL is not used: it speaks to kvmclock, which this
/// guest does not see. The reference time goes on over a reset.
public final class Partition: Sendable {
  public let memory: GuestMemory
  public let processors: Int

  private enum Phase: Equatable {
    case created
    case running
    case paused
    case stopped
  }

  private struct Lifecycle: ~Copyable {
    var phase = Phase.created
    var threads: [DedicatedThread] = []
    var initialStates: [ProcessorState] = []
    var controllers: [[UInt64]] = []
  }

  private let core: PartitionCore
  private let virtualProcessors: [VirtualProcessor]
  private let loader: BootLoader
  private let acpi: [UInt8]
  private let managementInformation: [UInt8]
  private let service: ServiceThread
  private let lifecycle = Mutex(Lifecycle())
  /// The clock in nanoseconds while the partition is paused or has not begun, 0 while it runs.
  private let frozenClock = Atomic<UInt64>(0)
  private let resets = Atomic<UInt64>(0)
  private let created = PartitionCore.monotonic()

  /// Opens files, builds the machine, loads the kernel. No processor runs yet.
  public init(_ configuration: PartitionConfiguration, delegate: any PartitionDelegate) throws(PartitionError) {
    try configuration.check()
    processors = configuration.processors
    memory = try GuestMemory(byteCount: configuration.memoryBytes)
    // The cheap checks of the input come before anything is built.
    loader = try BootLoader(configuration, ranges: memory.ranges)
    let load = try FileLoad(loader, into: memory)
    let machine = try VirtualMachineDescriptor(kvmPath: configuration.kvmPath)
    core = try PartitionCore(
      memory: memory, machine: machine, processors: processors, hasSerial: configuration.serial != nil,
      devices: configuration.portDevices, delegate: delegate)
    try machine.map(memory)
    let addressBits = machine.supportedCPUID.first { $0.function == 0x8000_0008 }.map { UInt8($0.eax & 0xFF) } ?? 36
    acpi = ACPITables(
      processors: processors, hasSerial: configuration.serial != nil,
      highMMIO: GuestLayout.highMMIO(physicalAddressBits: addressBits), pciRoot: configuration.portDevices?.pciRoot
    ).encoded()
    managementInformation =
      SMBIOSTables(identity: configuration.identity, serialNumber: configuration.serialNumber).encoded()
    let table = CPUIDTable(
      supported: machine.supportedCPUID, processors: processors, constantTSC: Self.hostTSCIsConstant(),
      automaticEOI: !InterruptVirtualization.isUsed())
    var virtualProcessors: [VirtualProcessor] = []
    for index in 0..<processors {
      virtualProcessors.append(try VirtualProcessor(index, in: machine, cpuid: table))
    }
    // Linux may have measured its counter's rate anew after KVM was loaded; KVM (6.1: kvm_set_tsc_khz) then does not set up
    // the guests' counters, and says nothing.
    guard virtualProcessors.first?.counterRuns != false else {
      throw .kvmNotUsable(
        path: configuration.kvmPath,
        reason: "the guest's time stamp counter would stand still; unload KVM's modules and load them again")
    }
    self.virtualProcessors = virtualProcessors
    if core.devices != nil, let first = virtualProcessors.first,
      let writes = BatchedWrites(machine, processor: first)
    {
      _ = core.batchedWrites.storeIfNil(writes)
    }
    // Routes to a SynIC are accepted only after it is on.
    try machine.routeInterrupts(processors: processors)
    for synic in core.synic {
      try machine.bindInterrupt(
        Interrupt.synic + UInt32(synic.index), to: synic.interrupt, resample: synic.endOfMessage)
    }
    guard clinux_kick_install() == 0 else { throw .system(operation: "installing a signal handler", errno: EINVAL) }
    try load.finish()
    try Self.enter(loader, acpi, managementInformation, memory, virtualProcessors)
    service = try ServiceThread(core, sink: configuration.serial)
  }

  deinit { stop() }

  /// Puts the parameters into memory and the first processor at the kernel's entry.
  private static func enter(
    _ loader: BootLoader, _ acpi: [UInt8], _ managementInformation: [UInt8], _ memory: GuestMemory,
    _ processors: [VirtualProcessor]
  ) throws(PartitionError) {
    try loader.writeParameters(
      into: memory, acpi: acpi, managementInformation: managementInformation, seed: randomSeed())
    for processor in processors { try processor.setPlatformRegisters() }
    try processors.first?.enterKernel(at: loader.entry)
  }

  private static func hostTSCIsConstant() -> Bool {
    KernelFile.start(of: "/sys/devices/system/clocksource/clocksource0/current_clocksource", count: 4)
      == Array("tsc\n".utf8)
  }

  private static func randomSeed() -> [UInt8] {
    var seed = [UInt8](repeating: 0, count: 64)
    let count = unsafe seed.withUnsafeMutableBytes { unsafe clinux_random($0.baseAddress, $0.count) }
    return count == seed.count ? seed : []
  }

  // MARK: steering

  /// Lets the processors run.
  public func start() throws(PartitionError) {
    try lifecycle.withLock { (state) throws(PartitionError) in
      guard state.phase == .created else { throw .wrongState("it was started before") }
      // Taken now, when nothing has run; the first processor's entry is set again at each reset.
      for processor in virtualProcessors {
        state.initialStates.append(try ProcessorState(of: processor, savedMSRs: core.machine.savedMSRs))
      }
      state.controllers = try core.machine.interruptControllers()
      for processor in virtualProcessors {
        let core = core
        state.threads.append(
          try DedicatedThread.forPartition(name: "vp\(processor.index)") {
            do throws(PartitionError) {
              let loop = try ProcessorLoop(processor, core)
              loop.serve()
            } catch {
              while core.control.obey(processor.index) { core.end(.failed("\(error)")) }
            }
          })
      }
      core.control.adopt(threads: state.threads.map(\.handle))
      state.phase = .running
      core.control.run()
    }
  }

  /// Returns when every processor has left the guest and the reference time stands still.
  public func pause() throws(PartitionError) {
    try lifecycle.withLock { (state) throws(PartitionError) in
      guard state.phase == .running else { throw .wrongState("it is not running") }
      core.control.park()
      frozenClock.store(try core.machine.clock, ordering: .releasing)
      state.phase = .paused
    }
  }

  /// Goes on where `pause` left off; the reference time, too.
  public func resume() throws(PartitionError) {
    try lifecycle.withLock { (state) throws(PartitionError) in
      guard state.phase == .paused else { throw .wrongState("it is not paused") }
      try core.machine.setClock(frozenClock.load(ordering: .acquiring))
      frozenClock.store(0, ordering: .releasing)
      state.phase = .running
      // A guest that has ended stays where it is.
      if core.control.end == nil { core.control.run() }
    }
  }

  /// Reloads the kernel and starts again, running or paused, ended or not. The delegate's bus must be reset by its owner
  /// before this call, and its doorbells unbound: events and messages of before are forgotten here.
  public func reset() throws(PartitionError) {
    try lifecycle.withLock { (state) throws(PartitionError) in
      guard state.phase == .running || state.phase == .paused else { throw .wrongState("it is not running") }
      core.control.park(discardingEnd: true)
      for (processor, initial) in zip(virtualProcessors, state.initialStates) { try initial.restore(to: processor) }
      for synic in core.synic { synic.reset() }
      try core.machine.setInterruptControllers(state.controllers)
      core.serial?.reset()
      core.ports.reset()
      core.batchedWrites.load()?.reset()
      core.devices?.portsReset()
      // A restart begins with memory that reads as zeros and costs the host nothing, as the first start did.
      memory.discardAll()
      try loader.loadFiles(into: memory)
      try Self.enter(loader, acpi, managementInformation, memory, virtualProcessors)
      resets.add(1, ordering: .relaxed)
      core.control.clearEnd()
      if state.phase == .paused {
        try core.machine.setClock(frozenClock.load(ordering: .acquiring))
        frozenClock.store(0, ordering: .releasing)
        state.phase = .running
      }
      core.control.run()
    }
  }

  /// Ends and joins all threads. The object is of no further use. May be called twice.
  public func stop() {
    lifecycle.withLock { state in
      guard state.phase != .stopped else { return }
      state.phase = .stopped
      core.control.exit()
      for thread in state.threads { thread.join() }
      state.threads = []
      service.stop()
    }
  }

  /// A non-maskable interrupt on every processor, as a server's NMI button does it.
  public func injectNMI() throws(PartitionError) {
    for processor in virtualProcessors { try core.machine.injectNMI(processor: UInt32(processor.index)) }
  }

  // MARK: SynIC

  /// Writes one message (payload at most 240 bytes) to the slot of SINT2 and raises it. false: the slot is busy or not
  /// enabled; `messageSlotFreed` follows.
  public func postSynICMessage(_ payload: RawSpan, to vp: UInt32) -> Bool {
    guard vp < UInt32(core.synic.count) else { return false }
    let synic = core.synic[Int(vp)]
    switch synic.post(payload) {
    case .delivered: return true
    case .busy:
      service.watchEndOfMessage(Int(vp))
      return false
    case .offline: return false
    }
  }

  /// Sets an event flag (a channel's relid) and raises SINT2 if it was clear. Any thread. Kept while the guest has no
  /// event page.
  public func signalSynICEvent(flag: UInt32, vp: UInt32) {
    guard vp < UInt32(core.synic.count) else { return }
    core.synic[Int(vp)].signal(flag: flag)
  }

  /// Lets guest signals on `connection` (24 bits) increment `eventFD` without leaving the kernel.
  public func bindDoorbell(connection: UInt32, eventFD: Int32) throws(PartitionError) {
    try core.machine.doorbell(connection: connection, eventFD: eventFD, remove: false)
  }

  public func unbindDoorbell(connection: UInt32, eventFD: Int32) {
    // Not bound is what was wanted.
    try? core.machine.doorbell(connection: connection, eventFD: eventFD, remove: true)
  }

  // MARK: devices

  /// Lets `eventFD` pulse an interrupt line (0…23) of the PC's controllers. For edge-triggered lines.
  public func bindInterrupt(_ interrupt: UInt32, eventFD: Int32) throws(PartitionError) {
    try core.machine.bindInterrupt(interrupt, to: eventFD)
  }

  /// Sets an interrupt line (0…23) of the PC's controllers. Any thread.
  public func setInterruptLine(_ interrupt: UInt32, _ level: Bool) { core.machine.setInterruptLine(interrupt, level) }

  /// Lets the kernel collect writes to these ports, which reach the devices before their next access of another kind.
  /// false: KVM cannot do that, and each write comes by itself.
  @discardableResult public func batchWrites(to ports: PortRange) -> Bool {
    core.batchedWrites.load() != nil && core.machine.batchWrites(to: ports, remove: false)
  }

  public func endBatchedWrites(to ports: PortRange) { _ = core.machine.batchWrites(to: ports, remove: true) }

  // MARK: clock, console, counters

  /// The guest's reference time (TIME_REF_COUNT), 100 ns units.
  public var referenceTime: UInt64 {
    let frozen = frozenClock.load(ordering: .acquiring)
    if frozen != 0 { return frozen / 100 }
    return ((try? core.machine.clock) ?? 0) / 100
  }

  /// Offers bytes to the serial port's receiver; returns how many fitted into its bounded queue.
  @discardableResult public func serialInput(_ bytes: [UInt8]) -> Int { core.serial?.receive(bytes) ?? bytes.count }

  /// Why the guest ended, nil while it has not.
  public var end: PartitionEnd? { core.control.end }

  public var statistics: PartitionStatistics {
    var statistics = PartitionStatistics()
    for processor in virtualProcessors {
      for kind in ExitCounters.Kind.allCases {
        let value = processor.counters.value(kind)
        if value > 0 { statistics.userExits["\(kind)", default: 0] &+= value }
      }
      for (name, value) in processor.statistics?.read() ?? [:] { statistics.kernel[name, default: 0] &+= value }
    }
    if let batched = core.batchedWrites.load() { statistics.batchedPortWrites = batched.taken }
    statistics.initToFirstRun = core.firstRunTime.map { $0 &- created }
    statistics.resets = resets.load(ordering: .relaxed)
    statistics.serialBytesOut = core.serial?.bytesOut ?? 0
    return statistics
  }
}
