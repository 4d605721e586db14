// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import VMBus

/// KVM's virtual processor: its registers and its state at power-on. The run loop is `ProcessorLoop`.
///
/// KVM serializes these calls with KVM_RUN: from another thread they wait until the processor leaves the guest. So they
/// are made only while it is parked, or on its own thread.
final class VirtualProcessor: Sendable {
  let index: Int
  let descriptor: Descriptor
  let runAreaBytes: Int
  let counters = ExitCounters()
  /// The bits that XCR0 may have, from CPUID.
  private let extendedFeatures: UInt64
  /// KVM's statistics, where the host has them (Linux 5.14).
  let statistics: KernelStatistics?

  init(_ index: Int, in machine: VirtualMachineDescriptor, cpuid: CPUIDTable) throws(PartitionError) {
    self.index = index
    runAreaBytes = machine.runAreaBytes
    descriptor = Descriptor(
      owning: Int32(try machine.descriptor.control(CLINUX_KVM_CREATE_VCPU, UInt(index), "creating processor \(index)")))
    try Self.enable(KVM_CAP_HYPERV_SYNIC2, on: descriptor, 0, "switching on processor \(index)'s SynIC")
    if machine.enforcesCPUID {
      // Only what CPUID offers is there.
      try Self.enable(KVM_CAP_HYPERV_ENFORCE_CPUID, on: descriptor, 1, "restricting processor \(index) to its CPUID")
    }
    let leaves = cpuid.entries(forProcessor: index)
    var words = [UInt64(leaves.count)] + leaves.flatMap(\.kernelWords)
    try descriptor.control(CLINUX_KVM_SET_CPUID2, words: &words, "setting processor \(index)'s CPUID")
    let features = leaves.first { $0.function == 0xD && $0.index == 0 }
    extendedFeatures = features.map { UInt64($0.eax) | UInt64($0.edx) << 32 } ?? 0
    statistics = KernelStatistics(descriptor)
  }

  private static func enable(
    _ capability: Int32, on descriptor: borrowing Descriptor, _ argument: UInt64, _ operation: @autoclosure () -> String
  ) throws(PartitionError) {
    var request = kvm_enable_cap()
    request.cap = UInt32(capability)
    request.args.0 = argument
    try descriptor.control(CLINUX_KVM_ENABLE_CAP, with: &request, operation())
  }

  // MARK: registers

  /// Writes registers; returns how many KVM took, in order.
  func setMSRs(_ values: [(UInt32, UInt64)]) -> Int {
    // u32 count, padding; then {u32 index, u32 reserved, u64 data}.
    var words = [UInt64(values.count)]
    for (number, value) in values { words += [UInt64(number), value] }
    return (try? descriptor.control(CLINUX_KVM_SET_MSRS, words: &words, "registers")) ?? 0
  }

  func readMSRs(_ numbers: [UInt32]) -> [UInt64] {
    var words = [UInt64(numbers.count)]
    for number in numbers { words += [UInt64(number), 0] }
    let count = (try? descriptor.control(CLINUX_KVM_GET_MSRS, words: &words, "registers")) ?? 0
    return (0..<min(count, numbers.count)).map { words[2 + $0 * 2] }
  }

  /// Whether the guest's time stamp counter goes on. Every timer of the guest would wait for ever if it did not.
  var counterRuns: Bool {
    let before = readMSRs([MSR.tsc.rawValue])
    return before.isEmpty || before != readMSRs([MSR.tsc.rawValue])
  }

  /// What KVM's reset leaves to us, on every processor: memory types, since with MTRRs off Linux 6.1 also switches PAT
  /// off. And XCR0 with everything the guest will switch on: QEMU's software SVM does not intercept XSETBV, so that KVM
  /// would go on to report the size of the initial XSAVE area, which Linux warns of. Elsewhere the guest's own XSETBV
  /// makes it the same.
  func setPlatformRegisters() throws(PartitionError) {
    var extended = kvm_xcrs()
    extended.nr_xcrs = 1
    extended.xcrs.0.value = extendedFeatures
    if extendedFeatures & 3 == 3 {
      try descriptor.control(CLINUX_KVM_SET_XCRS, with: &extended, "setting processor \(index)'s XCR0")
    }
    guard setMSRs([(MSR.mtrrDefaultType.rawValue, 0x806)]) == 1 else {
      throw .system(operation: "setting processor \(index)'s memory types", errno: EINVAL)
    }
  }

  /// 64-bit mode at the kernel's entry, as its boot protocol wants it.
  func enterKernel(at entry: UInt64) throws(PartitionError) {
    var special = kvm_sregs()
    try descriptor.control(CLINUX_KVM_GET_SREGS, with: &special, "reading processor \(index)'s registers")
    special.cr0 = 0x8000_0031  // PG, NE, ET, PE
    special.cr3 = GuestLayout.pageTables
    special.cr4 = 0x20  // PAE
    special.efer = 0x500  // LME, LMA
    special.gdt.base = GuestLayout.descriptorTable
    special.gdt.limit = 31
    special.idt.base = 0
    special.idt.limit = 0
    special.cs = Self.segment(selector: 0x10, type: 0xB, long: true)
    let data = Self.segment(selector: 0x18, type: 0x3, long: false)
    special.ds = data
    special.es = data
    special.ss = data
    special.fs = data
    special.gs = data
    try descriptor.control(CLINUX_KVM_SET_SREGS, with: &special, "setting processor \(index)'s registers")
    var general = kvm_regs()
    general.rip = entry
    general.rsi = GuestLayout.bootParameters
    general.rflags = 2
    try descriptor.control(CLINUX_KVM_SET_REGS, with: &general, "setting processor \(index)'s registers")
  }

  private static func segment(selector: UInt16, type: UInt8, long: Bool) -> kvm_segment {
    var segment = kvm_segment()
    segment.limit = 0xFFFF_FFFF
    segment.selector = selector
    segment.type = type
    segment.present = 1
    segment.s = 1
    segment.g = 1
    segment.l = long ? 1 : 0
    segment.db = long ? 0 : 1
    return segment
  }
}
