// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization
import VMBus

/// What a processor's thread does: enter the guest, answer the exit, again.
@safe struct ProcessorLoop: ~Copyable {
  private let processor: VirtualProcessor
  private let machine: PartitionCore
  private let run: UnsafeMutablePointer<kvm_run>
  private let runBytes: Int

  init(_ processor: VirtualProcessor, _ machine: PartitionCore) throws(PartitionError) {
    self.processor = processor
    self.machine = machine
    runBytes = processor.runAreaBytes
    guard
      let area = unsafe mmap(nil, runBytes, PROT_READ | PROT_WRITE, MAP_SHARED, processor.descriptor.number, 0),
      unsafe area != MAP_FAILED
    else { throw .system(operation: "mapping processor \(processor.index)'s run area", errno: errno) }
    unsafe run = area.assumingMemoryBound(to: kvm_run.self)
  }

  deinit { unsafe munmap(run, runBytes) }

  /// Returns when the partition stops.
  func serve() {
    unsafe clinux_kick_target(run)
    defer { clinux_kick_target(nil) }
    while machine.control.obey(processor.index) {
      machine.noteFirstRun()
      while enterGuest() {}
      settle()
    }
  }

  /// Lets KVM finish what the last exit was about, so that nothing of it reaches the guest after a reset. Does not enter
  /// the guest.
  private func settle() {
    unsafe run.pointee.immediate_exit = 1
    _ = clinux_ioctl(processor.descriptor.number, CLINUX_KVM_RUN, 0)
    unsafe run.pointee.immediate_exit = 0
  }

  /// One trip; false when there may be an order.
  private func enterGuest() -> Bool {
    let result = clinux_ioctl(processor.descriptor.number, CLINUX_KVM_RUN, 0)
    if result < 0 {
      switch Int32(-result) {
      case EINTR:
        unsafe run.pointee.immediate_exit = 0
        processor.counters.count(.interrupted)
        return false
      case EAGAIN:
        // A processor that waited for its start-up message has got it.
        processor.counters.count(.again)
        return true
      case let code:
        machine.end(.failed("processor \(processor.index) cannot enter the guest: \(SystemError.message(code))"))
        return false
      }
    }
    switch Int32(unsafe run.pointee.exit_reason) {
    case KVM_EXIT_IO: return port()
    case KVM_EXIT_HYPERV: return hyperV()
    case KVM_EXIT_MMIO:
      processor.counters.count(.memory)
      // Nothing is there: reads give ones.
      if unsafe run.pointee.mmio.is_write == 0 {
        unsafe run.pointee.mmio.data = (255, 255, 255, 255, 255, 255, 255, 255)
      }
      return true
    case KVM_EXIT_X86_RDMSR, KVM_EXIT_X86_WRMSR: return register()
    case KVM_EXIT_SYSTEM_EVENT: return systemEvent()
    case KVM_EXIT_SHUTDOWN:
      processor.counters.count(.shutdown)
      machine.end(.tripleFault)
      return false
    case KVM_EXIT_INTR:
      processor.counters.count(.interrupted)
      return false
    case KVM_EXIT_FAIL_ENTRY:
      let reason = unsafe run.pointee.fail_entry.hardware_entry_failure_reason
      machine.end(.failed("the processor refused to enter the guest (reason 0x\(String(reason, radix: 16)))"))
      return false
    case KVM_EXIT_INTERNAL_ERROR:
      machine.end(.failed(internalError()))
      return false
    case let reason:
      processor.counters.count(.other)
      machine.end(.failed("KVM left the guest for a reason that nobody expects (\(reason))"))
      return false
    }
  }

  private func internalError() -> String {
    let code = unsafe run.pointee.`internal`.suberror
    let cause =
      switch code {
      case 1: "an instruction that KVM cannot emulate"
      case 2: "two exceptions at once"
      case 3: "an exit while an event was being delivered"
      case 4: "an exit that KVM does not know"
      default: "internal error \(code)"
      }
    var registers = kvm_regs()
    _ = try? processor.descriptor.control(CLINUX_KVM_GET_REGS, with: &registers, "registers")
    return "KVM cannot go on with processor \(processor.index): \(cause), at 0x\(String(registers.rip, radix: 16))"
  }

  // MARK: ports

  private func port() -> Bool {
    let io = unsafe run.pointee.io
    let size = Int(io.size)
    guard size == 1 || size == 2 || size == 4, Int(io.data_offset) + size * Int(io.count) <= runBytes else {
      return true
    }
    if let devices = machine.devices, !machine.ports.owns(io.port, size: size) {
      processor.counters.count(io.direction == UInt8(KVM_EXIT_IO_OUT) ? .deviceWrite : .deviceRead)
      let data = unsafe UnsafeMutableRawBufferPointer(
        start: UnsafeMutableRawPointer(run) + Int(io.data_offset), count: size * Int(io.count))
      unsafe access(devices, io.port, size: size, isWrite: io.direction == UInt8(KVM_EXIT_IO_OUT), data)
      return true
    }
    let serial = io.port >= Port.serial && io.port < Port.serial + Port.serialCount
    let write = io.direction == UInt8(KVM_EXIT_IO_OUT)
    processor.counters.count(serial ? (write ? .serialWrite : .serialRead) : (write ? .portWrite : .portRead))
    var data = unsafe UnsafeMutableRawPointer(run) + Int(io.data_offset)
    for _ in 0..<io.count {
      if write {
        let value =
          switch size {
          case 1: UInt32(unsafe data.load(as: UInt8.self))
          case 2: UInt32(unsafe data.loadUnaligned(as: UInt16.self))
          default: unsafe data.loadUnaligned(as: UInt32.self)
          }
        switch machine.ports.write(io.port, size: size, value) {
        case .none: break
        case .powerOff:
          machine.end(.powerOff)
          return false
        case .reset:
          machine.end(.reset)
          return false
        }
      } else {
        let value = machine.ports.read(io.port, size: size)
        switch size {
        case 1: unsafe data.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
        case 2: unsafe data.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
        default: unsafe data.storeBytes(of: value, as: UInt32.self)
        }
      }
      unsafe data += size
    }
    return true
  }

  /// An access to a device of the machine's own, as one run.
  private func access(
    _ devices: any PortDevices, _ port: UInt16, size: Int, isWrite: Bool, _ data: UnsafeMutableRawBufferPointer
  ) {
    let access = {
      if isWrite {
        devices.portWrite(port, size: size, from: unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(data)))
      } else {
        var bytes = unsafe MutableRawSpan(_unsafeBytes: data)
        devices.portRead(port, size: size, into: &bytes)
      }
    }
    if let batched = machine.batchedWrites.load() {
      batched.settle(into: devices, access)
    } else {
      access()
    }
  }

  // MARK: Hyper-V

  private func hyperV() -> Bool {
    let exit = unsafe run.pointee.hyperv
    switch Int32(exit.type) {
    case KVM_EXIT_HYPERV_SYNIC:
      processor.counters.count(.synic)
      let synic = unsafe exit.u.synic
      if machine.synic[processor.index].registersChanged(
        control: synic.control, eventPage: synic.evt_page, messagePage: synic.msg_page)
      {
        machine.delegate.messageSlotFreed(vp: UInt32(processor.index))
      }
    case KVM_EXIT_HYPERV_HCALL:
      let call = unsafe exit.u.hcall
      unsafe run.pointee.hyperv.u.hcall.result = UInt64(hypercall(call.input, call.params.0))
    default: processor.counters.count(.other)
    }
    return true
  }

  private func hypercall(_ control: UInt64, _ input: UInt64) -> UInt16 {
    switch UInt16(truncatingIfNeeded: control) {
    case PostMessageInput.callCode:
      processor.counters.count(.postMessage)
      return postMessage(control, input)
    case 0x5D:
      processor.counters.count(.signalEvent)
      // KVM has taken the parameter out of memory where the call was not a fast one.
      return machine.delegate.signalEvent(
        connection: UInt32(truncatingIfNeeded: input) & Hypercall.connectionMask,
        flag: UInt16(truncatingIfNeeded: input >> 32))
    default:
      processor.counters.count(.otherHypercall)
      return HypercallStatus.invalidHypercallCode.rawValue
    }
  }

  private func postMessage(_ control: UInt64, _ address: UInt64) -> UInt16 {
    guard !Hypercall.isFast(control) else { return HypercallStatus.invalidHypercallInput.rawValue }
    guard Hypercall.isUsable(address, byteCount: PostMessageInput.wireSize) else {
      return HypercallStatus.invalidAlignment.rawValue
    }
    // One private copy; everything below looks only at that.
    var copy = InlineArray<256, UInt8>(repeating: 0)
    var bytes = copy.mutableSpan
    let copied = unsafe bytes.withUnsafeMutableBytes { buffer -> Bool in
      do {
        try unsafe machine.memory.read(address, into: buffer)
        return true
      } catch { return false }
    }
    guard copied, let message = try? unsafe PostMessageInput(decoding: copy.span.bytes),
      Hypercall.isUsable(messageType: message.messageType)
    else { return HypercallStatus.invalidParameter.rawValue }
    return machine.delegate.postMessage(
      connection: message.connection.rawValue & Hypercall.connectionMask, messageType: message.messageType,
      payload: message.payload.bytes)
  }

  // MARK: registers and events

  /// The registers of `filterRegisters` come here; everything else is a fault in the guest.
  private func register() -> Bool {
    processor.counters.count(.register)
    let access = unsafe run.pointee.msr
    let isRead = Int32(unsafe run.pointee.exit_reason) == KVM_EXIT_X86_RDMSR
    let value =
      switch (MSR(rawValue: access.index), isRead) {
      case (.crashControl, true): Crash.notify | Crash.text
      case (.crashControl, false): writeCrashControl(access.data)
      case (.hardwareConfiguration, true): processor.readMSRs([access.index]).first.map { $0 | Self.tscAtNominalRate }
      case (.hardwareConfiguration, false):
        processor.setMSRs([(access.index, access.data & ~Self.tscAtNominalRate)]) == 1 ? access.data : nil
      default: nil as UInt64?
      }
    unsafe run.pointee.msr.error = value == nil ? 1 : 0
    if isRead, let value { unsafe run.pointee.msr.data = value }
    return true
  }

  /// Bit 24 of AMD's HWCR, TscFreqSel: the TSC counts at the rate of the highest performance state.
  private static let tscAtNominalRate: UInt64 = 1 << 24

  /// Bits of HV_X64_MSR_CRASH_CTL.
  private enum Crash {
    static let notify: UInt64 = 1 << 63
    static let text: UInt64 = 1 << 62
  }

  private func writeCrashControl(_ value: UInt64) -> UInt64 {
    if value & Crash.notify != 0 { machine.reportCrash(from: processor, hasText: value & Crash.text != 0) }
    return value
  }

  private func systemEvent() -> Bool {
    processor.counters.count(.systemEvent)
    switch Int32(unsafe run.pointee.system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN: machine.end(.powerOff)
    case KVM_SYSTEM_EVENT_RESET: machine.end(.reset)
    case KVM_SYSTEM_EVENT_CRASH:
      machine.reportCrash(from: processor, hasText: nil)
      return true
    case let type: machine.end(.failed("KVM reports a system event that nobody expects (\(type))"))
    }
    return false
  }
}
