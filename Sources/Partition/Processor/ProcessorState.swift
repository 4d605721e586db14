// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// A processor's complete state as KVM made it, taken before its first instruction and put back at every reset.
struct ProcessorState: Sendable {
  private var general = kvm_regs()
  private var special = kvm_sregs()
  private var debug = kvm_debugregs()
  private var events = kvm_vcpu_events()
  private var extendedControl = kvm_xcrs()
  private var apic: [UInt64]
  private var extended: [UInt64]
  private var runState = kvm_mp_state()
  private var registers: [(UInt32, UInt64)] = []

  /// Time goes on over a reset, and KVM derives the rest from other state.
  private static let left: Set<UInt32> = [
    MSR.tsc.rawValue, MSR.apicBase.rawValue, MSR.vpIndex.rawValue, MSR.reset.rawValue, MSR.vpRuntime.rawValue,
    MSR.timeReferenceCount.rawValue, MSR.synicEndOfMessage.rawValue,
  ]

  init(of processor: VirtualProcessor, savedMSRs: [UInt32]) throws(PartitionError) {
    apic = [UInt64](repeating: 0, count: 128)  // 1 KiB
    extended = [UInt64](repeating: 0, count: 512)  // 4 KiB
    let operation = "reading processor \(processor.index)'s state"
    try processor.descriptor.control(CLINUX_KVM_GET_REGS, with: &general, operation)
    try processor.descriptor.control(CLINUX_KVM_GET_SREGS, with: &special, operation)
    try processor.descriptor.control(CLINUX_KVM_GET_DEBUGREGS, with: &debug, operation)
    try processor.descriptor.control(CLINUX_KVM_GET_VCPU_EVENTS, with: &events, operation)
    try processor.descriptor.control(CLINUX_KVM_GET_XCRS, with: &extendedControl, operation)
    try processor.descriptor.control(CLINUX_KVM_GET_LAPIC, words: &apic, operation)
    try processor.descriptor.control(CLINUX_KVM_GET_XSAVE, words: &extended, operation)
    try processor.descriptor.control(CLINUX_KVM_GET_MP_STATE, with: &runState, operation)
    var numbers = savedMSRs.filter { !Self.left.contains($0) && !Self.isHyperV($0) }
    // KVM's list names some of these only; the order matters: pages first, the identity last.
    numbers += [MSR.referenceTSC.rawValue, MSR.vpAssistPage.rawValue]
    for timer in 0..<UInt32(4) {
      numbers += [MSR.timer(timer, count: false).rawValue, MSR.timer(timer, count: true).rawValue]
    }
    numbers += [MSR.synicControl.rawValue, MSR.synicEventPage.rawValue, MSR.synicMessagePage.rawValue]
    for sint in 0..<UInt32(16) { numbers.append(MSR.synicInterrupt(sint).rawValue) }
    numbers += [MSR.hypercall.rawValue, MSR.guestOSID.rawValue]
    for parameter in 0..<UInt32(5) { numbers.append(MSR.crashParameter0.rawValue + parameter) }
    // KVM stops at the first register it does not know: go on behind it.
    var rest = numbers[...]
    while !rest.isEmpty {
      let values = processor.readMSRs(Array(rest))
      registers += zip(rest, values).map { ($0, $1) }
      rest = rest.dropFirst(values.count + 1)
    }
  }

  private static func isHyperV(_ number: UInt32) -> Bool { number >> 12 == 0x40000 }

  func restore(to processor: VirtualProcessor) throws(PartitionError) {
    let operation = "resetting processor \(processor.index)"
    var copy = self
    // Registers with the interrupt controller still in its old mode would be refused: special registers go first, since
    // they hold the APIC base.
    try processor.descriptor.control(CLINUX_KVM_SET_SREGS, with: &copy.special, operation)
    // A processor without XSAVE has no such register.
    if copy.extendedControl.nr_xcrs > 0 {
      try processor.descriptor.control(CLINUX_KVM_SET_XCRS, with: &copy.extendedControl, operation)
    }
    try processor.descriptor.control(CLINUX_KVM_SET_XSAVE, words: &copy.extended, operation)
    try processor.descriptor.control(CLINUX_KVM_SET_REGS, with: &copy.general, operation)
    try processor.descriptor.control(CLINUX_KVM_SET_DEBUGREGS, with: &copy.debug, operation)
    var rest = registers[...]
    while !rest.isEmpty {
      // A register that cannot be written was read-only all along.
      rest = rest.dropFirst(processor.setMSRs(Array(rest)) + 1)
    }
    try processor.descriptor.control(CLINUX_KVM_SET_LAPIC, words: &copy.apic, operation)
    try processor.descriptor.control(CLINUX_KVM_SET_VCPU_EVENTS, with: &copy.events, operation)
    try processor.descriptor.control(CLINUX_KVM_SET_MP_STATE, with: &copy.runState, operation)
  }
}
