// SPDX-License-Identifier: Apache-2.0

/// One CPUID answer: what the guest gets for `function` (EAX) and, where `indexed`, `index` (ECX).
struct CPUIDEntry: Equatable, Sendable {
  var function: UInt32
  var index: UInt32 = 0
  var indexed = false
  var eax: UInt32 = 0
  var ebx: UInt32 = 0
  var ecx: UInt32 = 0
  var edx: UInt32 = 0
}

/// The CPUID leaves of each virtual processor: the host's, with the topology of this partition, without the hypervisor
/// leaves that KVM suggests, and with those of Hyper-V.
///
/// Why KVM's leaves must go completely: Linux asks every hypervisor it knows for the leaf it was found at and believes
/// the highest. KVM at 0x40000100 would win over Hyper-V at 0x40000000 and the guest would never look for a VMBus.
struct CPUIDTable: Sendable {
  /// What the processor answers whatever the host has; TLFS, Feature Discovery.
  enum HyperV {
    /// VP runtime, reference counter, SynIC, timers, APIC and VP assist page, hypercalls, VP index, reset register,
    /// reference TSC page, frequency registers.
    static let features: UInt32 = 0x0000_0AFF
    /// Post messages, signal events. Nothing else: a partition id or processor management would make Linux believe that
    /// it is the root partition.
    static let privileges: UInt32 = 0x30
    /// Frequency registers, crash registers, timers that interrupt directly (the other kind shares our message slot).
    static let miscellaneous: UInt32 = 1 << 8 | 1 << 10 | 1 << 19
    /// Relaxed timing, EOI through the lazy register.
    static let recommendations: UInt32 = 1 << 5 | 1 << 3
    /// No automatic EOI for the bus's interrupt.
    static let automaticEOIDeprecated: UInt32 = 1 << 9
    /// Windows Server 2022's, only printed by Linux.
    static let build: UInt32 = 20348
    static let version: UInt32 = 10 << 16
  }

  let entries: [CPUIDEntry]
  let processors: Int

  /// `supported` is what KVM_GET_SUPPORTED_CPUID offers. `constantTSC`: the host keeps its own time by the TSC, so it has
  /// one rate. Saying so spares Linux a calibration of a third of a second on each further processor; its clock source
  /// stays Hyper-V's page either way. `automaticEOI`: the bus's interrupt ends by itself. Without it a guest's EOI costs
  /// an exit whenever another interrupt waits; with it KVM does without the processor's own interrupt delivery, so it is
  /// for hosts that have none.
  init(supported: [CPUIDEntry], processors: Int, constantTSC: Bool, automaticEOI: Bool) {
    self.processors = processors
    // Leaf 0x1F repeats 0xB for machines with dies; without it the guest uses 0xB.
    var table = supported.filter { entry in
      entry.function & 0xF000_0000 != 0x4000_0000 && entry.function != 0x1F && entry.function != 0xB
    }
    for position in table.indices { Self.adapt(&table[position], processors: processors) }
    if !table.contains(where: { $0.function == 1 && $0.ecx & 1 << 26 != 0 }) { Self.removeWhatNeedsXSAVE(&table) }
    if constantTSC {
      let power: UInt32 = 0x8000_0007
      if let position = table.firstIndex(where: { $0.function == power }) {
        table[position].edx |= 1 << 8
      } else if table.contains(where: { $0.function == 0x8000_0000 && $0.eax >= power }) {
        table.append(CPUIDEntry(function: power, edx: 1 << 8))
      }
    }
    let basicLeaves = table.first { $0.function == 0 }?.eax ?? 0
    if basicLeaves >= 0xB {
      let shift = Self.identifierBits(processors)
      table.append(CPUIDEntry(function: 0xB, index: 0, indexed: true, eax: 0, ebx: 1, ecx: 0x100))
      table.append(
        CPUIDEntry(function: 0xB, index: 1, indexed: true, eax: shift, ebx: UInt32(processors), ecx: 0x201))
      table.append(CPUIDEntry(function: 0xB, index: 2, indexed: true, ecx: 2))
    }
    table += Self.hyperVLeaves(processors: processors, automaticEOI: automaticEOI)
    entries = table
  }

  /// The table of one processor: with its APIC id in every leaf that carries it.
  func entries(forProcessor processor: Int) -> [CPUIDEntry] {
    let id = UInt32(processor)
    return entries.map { entry in
      var entry = entry
      switch entry.function {
      case 1: entry.ebx = entry.ebx & 0x00FF_FFFF | id << 24
      case 0xB: entry.edx = id
      case 0x8000_001E:
        entry.eax = id
        entry.ebx = id  // core id, one thread per core
      default: break
      }
      return entry
    }
  }

  /// AMD, family 0x10 or later.
  static func isModernAMD(_ supported: [CPUIDEntry]) -> Bool {
    guard let vendor = supported.first(where: { $0.function == 0 }), vendor.ebx == 0x6874_7541,
      let version = supported.first(where: { $0.function == 1 })?.eax
    else { return false }
    return version >> 8 & 0xF == 0xF && version >> 20 & 0xFF > 0
  }

  /// Bits that tell the processors of the one package apart.
  static func identifierBits(_ processors: Int) -> UInt32 {
    UInt32(UInt8.bitWidth - UInt8(truncatingIfNeeded: max(processors, 1) - 1).leadingZeroBitCount)
  }

  private static func adapt(_ entry: inout CPUIDEntry, processors: Int) {
    let count = UInt32(processors)
    switch entry.function {
    case 1:
      entry.ebx = entry.ebx & 0xFF00_FFFF | count << 16
      entry.ecx |= 1 << 31  // a hypervisor is there
      entry.ecx |= 1 << 21 | 1 << 24  // x2APIC and TSC deadline: both in KVM's local APIC
      entry.ecx &= ~(1 << 5 | 1 << 3)  // no VMX, no MONITOR
      entry.edx = processors > 1 ? entry.edx | 1 << 28 : entry.edx & ~(1 << 28)
    case 4, 0x8000_001D:
      // Cache leaves: levels 1 and 2 belong to one core, level 3 to all.
      let level = entry.eax >> 5 & 7
      let sharing = level >= 3 ? count - 1 : 0
      entry.eax = entry.eax & ~(0xFFF << 14) | sharing << 14
      if entry.function == 4 { entry.eax = entry.eax & ~(0x3F << 26) | (count - 1) << 26 }
    case 6: entry.eax |= 1 << 2  // ARAT: the local APIC's timer never stops, so Linux wants no PIT
    case 0xA:
      // No performance counters: the guest's watchdog would use them, at an exit each time.
      entry.eax = 0
      entry.ebx = 0
      entry.ecx = 0
      entry.edx = 0
    case 0x8000_0001:
      entry.ecx &= ~(1 << 2 | 1 << 23 | 1 << 24 | 1 << 28)  // no SVM, no AMD counters
      entry.ecx = processors > 1 ? entry.ecx | 1 << 1 : entry.ecx & ~(1 << 1)  // several cores
    case 0x8000_0008: entry.ecx = (count - 1) | identifierBits(processors) << 12
    case 0x8000_000A:  // SVM's features
      entry.eax = 0
      entry.ebx = 0
      entry.ecx = 0
      entry.edx = 0
    case 0x8000_001E: entry.ecx = 0  // one node
    default: break
    }
  }

  /// A processor without XSAVE has no wide registers, whatever else its host claims: QEMU without XSAVE still names AVX2,
  /// and Linux's RAID code, for one, believes that and nothing else.
  private static func removeWhatNeedsXSAVE(_ table: inout [CPUIDEntry]) {
    table.removeAll { $0.function == 0xD }
    for position in table.indices {
      switch (table[position].function, table[position].index) {
      case (1, _): table[position].ecx &= ~(1 << 12 | 1 << 27 | 1 << 28 | 1 << 29)  // FMA, OSXSAVE, AVX, F16C
      case (7, 0):
        // AVX2, MPX, AVX-512 in nine parts.
        table[position].ebx &= ~(1 << 5 | 1 << 14 | 1 << 16 | 1 << 17 | 1 << 21 | 0b111 << 26 | 0b11 << 30)
        // VBMI, protection keys, VBMI2, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ
        table[position].ecx &= ~(1 << 1 | 0b11 << 3 | 1 << 6 | 0b1111 << 9 | 1 << 14)
        // 4VNNIW, 4FMAPS, VP2INTERSECT, AMX, AVX-512 FP16
        table[position].edx &= ~(0b11 << 2 | 1 << 8 | 0b1111 << 22)
      case (7, 1):
        table[position].eax &= ~(0b11 << 4 | 1 << 21 | 1 << 23)  // AVX VNNI, AVX-512 BF16, AMX FP16, AVX IFMA
        table[position].edx &= ~(0b11 << 4 | 1 << 10 | 1 << 19)  // AVX VNNI INT8, NE CONVERT, VNNI INT16, AVX10
      case (0x8000_0001, _): table[position].ecx &= ~(1 << 11 | 1 << 15 | 1 << 16)  // XOP, LWP, FMA4
      default: break
      }
    }
  }

  static func hyperVLeaves(processors: Int, automaticEOI: Bool) -> [CPUIDEntry] {
    let recommendations = HyperV.recommendations | (automaticEOI ? 0 : HyperV.automaticEOIDeprecated)
    return [
      // "Microsoft Hv"; the highest leaf stays below 0x4000000A, the one about nested hypervisors.
      CPUIDEntry(function: 0x4000_0000, eax: 0x4000_0006, ebx: 0x7263_694D, ecx: 0x666F_736F, edx: 0x7648_2074),
      // "Hv#1": KVM's in-kernel Hyper-V emulation starts with this.
      CPUIDEntry(function: 0x4000_0001, eax: 0x3123_7648),
      CPUIDEntry(function: 0x4000_0002, eax: HyperV.build, ebx: HyperV.version),
      CPUIDEntry(function: 0x4000_0003, eax: HyperV.features, ebx: HyperV.privileges, edx: HyperV.miscellaneous),
      CPUIDEntry(function: 0x4000_0004, eax: recommendations, ebx: 0xFFFF_FFFF),  // never report long spins
      CPUIDEntry(function: 0x4000_0005, eax: UInt32(processors), ebx: UInt32(processors)),
      CPUIDEntry(function: 0x4000_0006),
    ]
  }
}
