// SPDX-License-Identifier: Apache-2.0

/// QEMU's arguments for the software machine, as a value.
///
/// The choice of machine is measured: `pc` can be saved and restored (microvm cannot); five-level paging makes nested
/// page walks dearer and ERMS makes `rep movsb` go byte by byte: without the two, guests boot in half the time; XSAVE's
/// size in CPUID stays that of the bare state (the SVM here does not show XSETBV to KVM), of which a guest warns; a second
/// processor gains a little and locks up (QEMU loses interrupts at VMRUN and VMEXIT, see `OuterLoop`'s kick). Family 21
/// instead of QEMU's 15: in a family 15 Linux scans for AMD's old GART, 33,900 exits against 865 in a guest's start.
struct QEMUCommand: Equatable {
  /// Descriptors by their number in QEMU: 0 /dev/null, 1 and 2 its messages, then these.
  static let port: Int32 = 3
  static let serial: Int32 = 4
  /// The monitor when a state is saved, the state when one is restored.
  static let monitorOrState: Int32 = 5
  /// The link for image files, and the memory that their data goes through (`DataWindow`).
  static let images: Int32 = 6
  static let window: Int32 = 7
  /// The streams of network frames, one for each of the machine's ways out.
  static let network: Int32 = 8
  static let networkCount = 8
  static let firstFile = network + Int32(networkCount)

  /// Devices that a state is saved with; a run has the same ones.
  static let diskCount = 2

  /// What the devices look like to the machine; part of the key of a saved state.
  static func machine(memoryMebibytes: Int) -> [String] {
    [
      "-machine", "pc,vmport=off,hpet=off", "-accel", "tcg,thread=multi,tb-size=512", "-cpu",
      "max,+svm,+npt,-la57,-erms,-xsave,family=21,model=16,stepping=1",
      "-smp", "1", "-m", "\(memoryMebibytes)M", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
      "-chardev", "socket,id=serial,fd=\(serial)", "-device", "isa-serial,chardev=serial",
      "-chardev", "socket,id=port,fd=\(port)",
      "-device",
      "virtio-serial-pci,id=ports,addr=3,disable-legacy=on,max_ports=\(InnerNetwork.firstPort + networkCount)",
      "-device", "virtserialport,chardev=port,bus=ports.0,nr=1,name=lis",
      "-chardev", "socket,id=images,fd=\(images)",
      "-device", "virtserialport,chardev=images,bus=ports.0,nr=\(InnerImages.portNumber),name=lis-images",
      "-object", "memory-backend-file,id=window,mem-path=/proc/self/fd/\(window),size=\(DataWindow.byteCount),share=on",
      "-device", "ivshmem-plain,memdev=window,master=on,addr=\(4 + diskCount)",
    ]
      + (0..<networkCount).flatMap {
        [
          "-chardev", "socket,id=network\($0),fd=\(Int(network) + $0)",
          "-device",
          "virtserialport,chardev=network\($0),bus=ports.0,nr=\(InnerNetwork.firstPort + $0),name=lis-network-\($0)",
        ]
      }
      + (0..<diskCount).flatMap {
        ["-device", "virtio-blk-pci,drive=disk\($0),addr=\(4 + $0),disable-legacy=on,romfile="]
      }
  }

  /// The inner kernel's command line. `tscKilohertz`: this processor's counter, which saves the inner kernel measuring.
  static func kernelCommandLine(memoryMebibytes: Int, tscKilohertz: UInt64?) -> String {
    // Memory is cleared when it is freed: what the boot leaves behind does not go into the saved state, and the guest's
    // memory need not be cleared when it is first touched. The kernel clears all memory at boot then, which costs this
    // machine as much: not for the large ones.
    let clearing = memoryMebibytes <= 3072 ? "init_on_alloc=0 init_on_free=1 " : ""
    let frequency = tscKilohertz.map { "tsc_early_khz=\($0) " } ?? ""
    return "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable \(frequency)no_timer_check nowatchdog "
      + "\(clearing)rcupdate.rcu_expedited=1 rcupdate.rcu_cpu_stall_suppress=1 audit=0 apparmor=0 random.trust_cpu=on "
      + "cryptomgr.notests rdinit=/init \(InnerMachine.variable)=init"
  }

  /// Cold boot for saving the state.
  static func boot(memoryMebibytes: Int, kernel: String, initramfs: String, commandLine: String) -> [String] {
    machine(memoryMebibytes: memoryMebibytes)
      + (0..<diskCount).flatMap { ["-drive", "driver=null-co,size=512,read-zeroes=on,if=none,id=disk\($0)"] }
      + [
        "-chardev", "socket,id=monitor,fd=\(monitorOrState)", "-mon", "chardev=monitor,mode=control",
        "-kernel", kernel, "-initrd", initramfs, "-append", commandLine,
      ]
  }

  /// Restores the state, with `fileCount` files on descriptors from `firstFile`.
  static func restore(memoryMebibytes: Int, fileCount: Int) -> [String] {
    machine(memoryMebibytes: memoryMebibytes)
      + (0..<diskCount).flatMap { disk in
        guard disk < fileCount else {
          return ["-drive", "driver=null-co,size=512,read-zeroes=on,if=none,id=disk\(disk)"]
        }
        return [
          "-add-fd", "fd=\(Int(firstFile) + disk),set=\(disk)",
          "-drive", "file=/dev/fdset/\(disk),format=raw,if=none,id=disk\(disk),readonly=on,file.locking=off",
        ]
      } + ["-incoming", "fd:\(monitorOrState)"]
  }

  /// The inner machine's memory for a guest: the guest's, KVM's tables and page structures for it, and the inner Linux.
  /// A few classes, so that few states are saved; what is not touched costs nothing.
  static func memoryMebibytes(guestBytes: UInt64) -> Int {
    let guest = Int(clamping: guestBytes >> 20)
    let (needed, overflow) = guest.addingReportingOverflow(guest / 24 + 320)
    if overflow { return .max }
    var size = 1024
    while size < needed {
      if size > 1 << 40 { return .max }
      size = size == 1024 ? 3072 : size * 2
    }
    return size
  }
}
