// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

/// The KVM device itself: what the host can do.
final class KVMSystem {
  let descriptor: Descriptor
  private let path: String

  init(path: String) throws(PartitionError) {
    let raw = unsafe open(path, O_RDWR | O_CLOEXEC)
    guard raw >= 0 else {
      switch errno {
      case ENOENT, ENODEV, ENXIO, ENOTDIR: throw .kvmMissing(path: path)
      case EACCES, EPERM: throw .kvmNoPermission(path: path)
      default: throw .system(operation: "opening \(path)", errno: errno)
      }
    }
    descriptor = Descriptor(owning: raw)
    self.path = path
    let version = clinux_ioctl(raw, CLINUX_KVM_GET_API_VERSION, 0)
    guard version == 12 else {
      throw .kvmNotUsable(path: path, reason: version < 0 ? "it is not a KVM device" : "its API version is \(version)")
    }
  }

  func extensionValue(_ number: Int32) -> Int {
    max(clinux_ioctl(descriptor.number, CLINUX_KVM_CHECK_EXTENSION, UInt(number)), 0)
  }

  /// Fails unless KVM emulates Hyper-V's interrupt controller and signals in the kernel.
  func requireHyperV() throws(PartitionError) {
    let needed: [(Int32, String)] = [
      (KVM_CAP_HYPERV, "KVM_CAP_HYPERV"), (KVM_CAP_HYPERV_SYNIC2, "KVM_CAP_HYPERV_SYNIC2"),
      (KVM_CAP_HYPERV_EVENTFD, "KVM_CAP_HYPERV_EVENTFD"), (KVM_CAP_IRQFD_RESAMPLE, "KVM_CAP_IRQFD_RESAMPLE"),
      (KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"),
    ]
    let missing = needed.filter { extensionValue($0.0) == 0 }.map(\.1)
    guard missing.isEmpty else { throw .kvmWithoutHyperV(missing: missing.joined(separator: ", ")) }
  }

  func createVirtualMachine() throws(PartitionError) -> Descriptor {
    while true {
      let result = clinux_ioctl(descriptor.number, CLINUX_KVM_CREATE_VM, 0)
      if result >= 0 { return Descriptor(owning: Int32(result)) }
      switch Int32(-result) {
      case EINTR: continue
      case EOPNOTSUPP, EBUSY, ENODEV, EIO:
        throw .kvmNotUsable(path: path, reason: "the processor's virtualization is missing, switched off or in use")
      default: throw .system(operation: "creating a virtual machine", errno: Int32(-result))
      }
    }
  }

  func supportedCPUID() throws(PartitionError) -> [CPUIDEntry] {
    var room = 128
    while true {
      // u32 count, u32 padding, then entries of 40 bytes.
      var words = [UInt64](repeating: 0, count: 1 + room * 5)
      words[0] = UInt64(room)
      do { try descriptor.control(CLINUX_KVM_GET_SUPPORTED_CPUID, words: &words, "asking KVM for CPUID leaves") } catch
      {
        guard case .system(_, E2BIG) = error, room < 4096 else { throw error }
        room *= 2
        continue
      }
      let count = min(Int(words[0] & 0xFFFF_FFFF), room)
      return (0..<count).map { Self.completed(CPUIDEntry(kernelWords: words[(1 + $0 * 5)...])) }
    }
  }

  /// Name and caches of the processor, which KVM leaves out of its answer in part. Linux divides by the associativity of
  /// the instruction cache on AMD's family 0x15.
  private static func completed(_ entry: CPUIDEntry) -> CPUIDEntry {
    guard (0x8000_0002...0x8000_0006).contains(entry.function), entry.eax | entry.ebx | entry.ecx | entry.edx == 0
    else {
      return entry
    }
    let native = clinux_native_cpuid(entry.function)
    return CPUIDEntry(
      function: entry.function, eax: native.eax, ebx: native.ebx, ecx: native.ecx, edx: native.edx)
  }

  func savedMSRs() throws(PartitionError) -> [UInt32] {
    var words = [UInt64](repeating: 0, count: 1025)
    words[0] = 2048
    // u32 count, then u32 numbers.
    try descriptor.control(CLINUX_KVM_GET_MSR_INDEX_LIST, words: &words, "asking KVM for registers")
    let count = Int(words[0] & 0xFFFF_FFFF)
    return (0..<min(count, 2048)).map { number in
      let word = words[(number + 1) / 2]
      return UInt32(truncatingIfNeeded: (number + 1) % 2 == 0 ? word : word >> 32)
    }
  }
}

extension CPUIDEntry {
  /// kvm_cpuid_entry2: function, index, flags (1: index matters), EAX, EBX, ECX, EDX, three words of padding.
  init(kernelWords words: ArraySlice<UInt64>) {
    let at = words.startIndex
    func half(_ index: Int) -> UInt32 { UInt32(truncatingIfNeeded: words[at + index / 2] >> UInt64(index % 2 * 32)) }
    self.init(
      function: half(0), index: half(1), indexed: half(2) & 1 != 0, eax: half(3), ebx: half(4), ecx: half(5),
      edx: half(6))
  }

  var kernelWords: [UInt64] {
    func pair(_ low: UInt32, _ high: UInt32) -> UInt64 { UInt64(low) | UInt64(high) << 32 }
    return [pair(function, index), pair(indexed ? 1 : 0, eax), pair(ebx, ecx), pair(edx, 0), 0]
  }
}
