// SPDX-License-Identifier: Apache-2.0

/// Where things lie in the guest's physical address space. Everything below 640 KiB is ordinary RAM that the kernel may
/// use once it has read what we left there.
enum GuestLayout {
  static let descriptorTable: UInt64 = 0x500
  static let bootParameters: UInt64 = 0x7000
  /// PML4, PDPT and four page directories: the first 4 GiB one to one.
  static let pageTables: UInt64 = 0x9000
  /// At the end of conventional memory: Linux cuts its list of RAM at this node, and kexec-tools gives a crash kernel
  /// only the first piece below 640 KiB, in which that kernel's real-mode trampoline has to fit.
  static let setupData: UInt64 = 0x9_F000
  static let commandLine: UInt64 = 0x2_0000
  static let commandLineRoom = 0x1_0000
  /// End of conventional memory.
  static let conventionalEnd: UInt64 = 0x9_FC00
  static let acpi: UInt64 = 0xE_0000
  static let acpiRoom = 0x1_0000
  /// In the last 64 KiB of the first megabyte, where kernels look for it.
  static let managementInformation: UInt64 = 0xF_0000
  static let extendedMemory: UInt64 = 0x10_0000

  static let lowMMIO: UInt64 = GuestMemory.holeBase
  /// Below the local APIC, the I/O APIC and 0xFED40000, at which Linux cuts windows.
  static let lowMMIOEnd: UInt64 = 0xFEC0_0000
  /// Where a machine has a PCI bus, that gets the window's end.
  static let pciMMIO: UInt64 = 0xFE00_0000
  static let ioAPIC: UInt32 = 0xFEC0_0000
  static let localAPIC: UInt32 = 0xFEE0_0000
  /// Pages that KVM on Intel needs for itself while a processor is in real mode.
  static let identityMap: UInt64 = 0xFFFB_C000
  static let taskState: UInt64 = 0xFFFB_D000

  /// The VMBus MMIO window above RAM: the upper half of what the processor can address, at most 64 GiB of it.
  static func highMMIO(physicalAddressBits bits: UInt8) -> GuestMemoryRange {
    let usable = UInt64(min(max(bits, 36), 46))
    let base: UInt64 = 1 << (usable - 1)
    return GuestMemoryRange(base: base, byteCount: min(base / 2, 64 << 30))
  }
}

/// I/O ports.
enum Port {
  static let rtcIndex: UInt16 = 0x70
  static let rtcData: UInt16 = 0x71
  /// System control port B: what an NMI was about, and the PC speaker.
  static let systemControl: UInt16 = 0x61
  static let keyboardCommand: UInt16 = 0x64
  static let serial: UInt16 = 0x3F8
  static let serialCount: UInt16 = 8
  static let pm1Status: UInt16 = 0x600
  static let pm1Enable: UInt16 = 0x602
  static let pm1Control: UInt16 = 0x604
  static let pciAddress: UInt16 = 0xCF8
  static let pciData: UInt16 = 0xCFC
  static let reset: UInt16 = 0xCF9
}

/// Global system interrupts.
enum Interrupt {
  static let serial: UInt32 = 4
  static let rtc: UInt32 = 8
  static let sci: UInt32 = 9
  static let ioAPICPins: UInt32 = 24
  /// The first interrupt of the SynIC: one per processor.
  static let synic: UInt32 = 24
}
