// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import VMBus

/// KVM's virtual machine: memory slots, interrupt controllers and routes, the clock.
final class VirtualMachineDescriptor: Sendable {
  let descriptor: Descriptor
  /// The CPUID leaves that KVM and the processor can give.
  let supportedCPUID: [CPUIDEntry]
  let runAreaBytes: Int
  /// Registers that KVM can save and set.
  let savedMSRs: [UInt32]
  /// Whether the guest's crash control register is ours (see `filterRegisters`).
  let filtersCrashControl: Bool
  let enforcesCPUID: Bool
  /// The page of a processor's run area that holds writes which KVM collected, 0: it cannot collect port writes.
  let batchedWritesPage: Int

  init(kvmPath: String) throws(PartitionError) {
    let system = try KVMSystem(path: kvmPath)
    try system.requireHyperV()
    supportedCPUID = try system.supportedCPUID()
    runAreaBytes = try system.descriptor.control(CLINUX_KVM_GET_VCPU_MMAP_SIZE, 0, "asking for KVM's run area")
    savedMSRs = try system.savedMSRs()
    batchedWritesPage =
      system.extensionValue(KVM_CAP_COALESCED_PIO) > 0 ? system.extensionValue(KVM_CAP_COALESCED_MMIO) : 0
    enforcesCPUID = system.extensionValue(KVM_CAP_HYPERV_ENFORCE_CPUID) > 0
    let filters =
      system.extensionValue(KVM_CAP_X86_USER_SPACE_MSR) > 0 && system.extensionValue(KVM_CAP_X86_MSR_FILTER) > 0
    filtersCrashControl = filters
    descriptor = try system.createVirtualMachine()
    // Intel's real mode needs four pages of our address space; elsewhere this changes nothing.
    var identity = GuestLayout.identityMap
    try descriptor.control(CLINUX_KVM_SET_IDENTITY_MAP_ADDR, with: &identity, "placing KVM's identity map")
    try descriptor.control(CLINUX_KVM_SET_TSS_ADDR, UInt(GuestLayout.taskState), "placing KVM's task state")
    try descriptor.control(CLINUX_KVM_CREATE_IRQCHIP, 0, "creating the interrupt controllers")
    if filters { try filterRegisters() }
  }

  /// Gives the guest's RAM to KVM.
  func map(_ memory: GuestMemory) throws(PartitionError) {
    var offset = 0
    for (slot, range) in memory.ranges.enumerated() {
      var region = kvm_userspace_memory_region()
      region.slot = UInt32(slot)
      region.guest_phys_addr = range.base
      region.memory_size = range.byteCount
      region.userspace_addr = UInt64(UInt(bitPattern: unsafe memory.hostBase + offset))
      try descriptor.control(
        CLINUX_KVM_SET_USER_MEMORY_REGION, with: &region, "giving the guest \(range.byteCount >> 20) MiB of memory")
      offset += Int(range.byteCount)
    }
  }

  /// Lets the guest's accesses to two registers come to us.
  ///
  /// KVM keeps only one bit of HV_X64_MSR_CRASH_CTL (hyperv.c, kvm_hv_msr_set_crash_ctl), but Linux sends the text of a
  /// panic only if it reads bit 62 there as well.
  ///
  /// On AMD from family 0x10 on, Linux logs a firmware bug if the TSC is constant but bit 24 of HWCR is clear; KVM before
  /// 6.8 cannot set that.
  private func filterRegisters() throws(PartitionError) {
    var capability = kvm_enable_cap()
    capability.cap = UInt32(KVM_CAP_X86_USER_SPACE_MSR)
    capability.args.0 = 1 << 2  // KVM_MSR_EXIT_REASON_FILTER
    try descriptor.control(CLINUX_KVM_ENABLE_CAP, with: &capability, "taking over registers")
    var bitmap: UInt64 = 0  // 0: not allowed, hence an exit
    var filter = kvm_msr_filter()
    let result = unsafe withUnsafeMutablePointer(to: &bitmap) { pointer in
      let bits = unsafe UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: UInt8.self)
      let both: UInt32 = 3  // reads and writes
      unsafe filter.ranges.0 = kvm_msr_filter_range(
        flags: both, nmsrs: 1, base: MSR.crashControl.rawValue, bitmap: bits)
      if CPUIDTable.isModernAMD(supportedCPUID) {
        unsafe filter.ranges.1 = kvm_msr_filter_range(
          flags: both, nmsrs: 1, base: MSR.hardwareConfiguration.rawValue, bitmap: bits)
      }
      return unsafe withUnsafeMutablePointer(to: &filter) {
        clinux_ioctl(descriptor.number, CLINUX_KVM_X86_SET_MSR_FILTER, UInt(bitPattern: $0))
      }
    }
    guard result >= 0 else { throw .system(operation: "taking over registers", errno: Int32(-result)) }
  }

  /// Routes every interrupt: those of the PC's controllers as KVM does it by itself, then one for SINT2 of each processor.
  func routeInterrupts(processors: Int) throws(PartitionError) {
    var words: [UInt64] = [0]
    func add(_ interrupt: UInt32, _ type: UInt32, _ first: UInt32, _ second: UInt32) {
      words += [UInt64(interrupt) | UInt64(type) << 32, 0, UInt64(first) | UInt64(second) << 32, 0, 0, 0]
      words[0] += 1
    }
    let chip: UInt32 = 1
    let synic: UInt32 = 4
    for pin in 0..<UInt32(16) { add(pin, chip, pin / 8, pin % 8) }
    for pin in 0..<Interrupt.ioAPICPins { add(pin, chip, 2, pin) }
    for processor in 0..<UInt32(processors) {
      add(Interrupt.synic + processor, synic, processor, UInt32(SynIC.busInterrupt))
    }
    try descriptor.control(CLINUX_KVM_SET_GSI_ROUTING, words: &words, "routing interrupts")
  }

  /// `resample` makes the interrupt one whose end KVM reports there: the only way to hear of EOM without an exit.
  func bindInterrupt(
    _ interrupt: UInt32, to event: borrowing EventDescriptor, resample: borrowing EventDescriptor
  ) throws(PartitionError) {
    var request = kvm_irqfd()
    request.fd = UInt32(event.number)
    request.gsi = interrupt
    request.flags = 1 << 1  // KVM_IRQFD_FLAG_RESAMPLE
    request.resamplefd = UInt32(resample.number)
    try descriptor.control(CLINUX_KVM_IRQFD, with: &request, "binding interrupt \(interrupt)")
  }

  /// Each write to the event pulses the line.
  func bindInterrupt(_ interrupt: UInt32, to eventFD: Int32) throws(PartitionError) {
    var request = kvm_irqfd()
    request.fd = UInt32(bitPattern: eventFD)
    request.gsi = interrupt
    try descriptor.control(CLINUX_KVM_IRQFD, with: &request, "binding interrupt \(interrupt)")
  }

  /// Lets KVM collect writes to `ports`, or ends that. false: it would not.
  func batchWrites(to ports: PortRange, remove: Bool) -> Bool {
    var zone = kvm_coalesced_mmio_zone()
    zone.addr = UInt64(ports.base)
    zone.size = UInt32(ports.count)
    zone.pio = 1
    let request = remove ? CLINUX_KVM_UNREGISTER_COALESCED_MMIO : CLINUX_KVM_REGISTER_COALESCED_MMIO
    return (try? descriptor.control(request, with: &zone, "collecting port writes")) != nil
  }

  func setInterruptLine(_ interrupt: UInt32, _ level: Bool) {
    var request = kvm_irq_level()
    request.irq = interrupt
    request.level = level ? 1 : 0
    // Cannot fail for a routed interrupt; a processor that never runs just misses it.
    _ = try? descriptor.control(CLINUX_KVM_IRQ_LINE, with: &request, "interrupt")
  }

  /// As a message-signalled interrupt in NMI mode: KVM_NMI would wait until the processor leaves the guest by itself.
  func injectNMI(processor: UInt32) throws(PartitionError) {
    var message = kvm_msi()
    message.address_lo = GuestLayout.localAPIC | processor << 12
    message.data = 4 << 8  // delivery mode: NMI
    try descriptor.control(CLINUX_KVM_SIGNAL_MSI, with: &message, "injecting an NMI into processor \(processor)")
  }

  /// KVM's clock in nanoseconds; the guest's reference time is this / 100.
  var clock: UInt64 {
    get throws(PartitionError) {
      var data = kvm_clock_data()
      try descriptor.control(CLINUX_KVM_GET_CLOCK, with: &data, "reading the partition's clock")
      return data.clock
    }
  }

  func setClock(_ nanoseconds: UInt64) throws(PartitionError) {
    var data = kvm_clock_data()
    data.clock = nanoseconds
    try descriptor.control(CLINUX_KVM_SET_CLOCK, with: &data, "setting the partition's clock")
  }

  func doorbell(connection: UInt32, eventFD: Int32, remove: Bool) throws(PartitionError) {
    var request = kvm_hyperv_eventfd()
    request.conn_id = connection
    request.fd = eventFD
    request.flags = remove ? 1 : 0
    do { try descriptor.control(CLINUX_KVM_HYPERV_EVENTFD, with: &request, "doorbell") } catch {
      if case .system(_, let code) = error { throw .doorbell(connection: connection, errno: code) }
      throw error
    }
  }

  /// The state of the PIC pair and the I/O APIC.
  func interruptControllers() throws(PartitionError) -> [[UInt64]] {
    var chips: [[UInt64]] = []
    for chip in 0..<UInt64(3) {
      var words = [UInt64](repeating: 0, count: 65)  // u32 id, u32 pad, 512 bytes
      words[0] = chip
      try descriptor.control(CLINUX_KVM_GET_IRQCHIP, words: &words, "reading interrupt controller \(chip)")
      chips.append(words)
    }
    return chips
  }

  func setInterruptControllers(_ chips: [[UInt64]]) throws(PartitionError) {
    for var words in chips {
      try descriptor.control(CLINUX_KVM_SET_IRQCHIP, words: &words, "resetting the interrupt controllers")
    }
  }
}
