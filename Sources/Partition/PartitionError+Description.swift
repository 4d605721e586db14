// SPDX-License-Identifier: Apache-2.0

import HostSystem

extension PartitionError: CustomStringConvertible {
  /// What was wrong, with which input, and what to do.
  public var description: String {
    switch self {
    case .processorCountOutOfRange(let count):
      let limits = PartitionConfiguration.processorLimits
      return "\(count) processors: a machine has \(limits.lowerBound) to \(limits.upperBound)"
    case .memoryTooSmall(let bytes):
      return
        "\(Self.size(bytes)) of memory: a machine needs at least \(Self.size(PartitionConfiguration.minimumMemory))"
    case .memorySizeNotUsable(let bytes): return "\(bytes) bytes of memory: give a multiple of 2 MiB"
    case .memoryLargerThanHost(let bytes, let host):
      return "\(Self.size(bytes)) of memory: this host has only \(Self.size(host)); give less"
    case .commandLineTooLong(let bytes, let limit):
      return "the kernel command line has \(bytes) bytes, this kernel takes at most \(limit); shorten it"
    case .commandLineNotUsable: return "the kernel command line contains a zero byte; remove it"
    case .kernel(let path, let problem): return "kernel \(path): \(problem.text(kernel: true))"
    case .initramfs(let path, let problem): return "initramfs \(path): \(problem.text(kernel: false))"
    case .kvmMissing(let path):
      return "\(path) does not exist: load kvm-intel or kvm-amd, or use another accelerator"
    case .kvmNoPermission(let path):
      return "no permission to use \(path): add yourself to the group that owns it (often \"kvm\") and log in again"
    case .kvmNotUsable(let path, let reason):
      return "\(path) cannot run machines here: \(reason); use another accelerator"
    case .kvmWithoutHyperV(let missing):
      return "this host's KVM does not emulate Hyper-V (\(missing)): its kernel needs CONFIG_KVM_HYPERV; use another "
        + "accelerator"
    case .doorbell(let connection, let code): return "signals of connection \(connection): \(SystemError.message(code))"
    case .wrongState(let text): return text
    case .system(let operation, let code): return "\(operation): \(SystemError.message(code))"
    }
  }

  static func size(_ bytes: UInt64) -> String {
    bytes % (1 << 30) == 0 ? "\(bytes >> 30) GiB" : "\(bytes >> 20) MiB"
  }
}

extension BootFileProblem {
  func text(kernel: Bool) -> String {
    switch self {
    case .missing: return "there is no such file; check the path"
    case .noPermission: return "no permission to read it; change its mode or use another user"
    case .notAFile: return "it is neither a file nor a block device"
    case .empty: return "it is empty"
    case .unreadable(let code): return "it cannot be read: \(SystemError.message(code))"
    case .truncated(let needed, let available):
      return "it is cut off: \(needed) bytes are needed, \(available) are there; fetch it again"
    case .notAKernel: return "it is not a Linux kernel; give a bzImage (vmlinuz) or an ELF vmlinux for x86-64"
    case .wrongArchitecture(let found): return "it is for \(found); give one for 64-bit x86"
    case .noEntryPoint(let entry): return "its entry \(entry) lies in none of its segments; give a vmlinux or a bzImage"
    case .malformed(let what): return "it is damaged or of an unknown kind: \(what)"
    case .doesNotFit(let needed, let available):
      return kernel
        ? "it needs memory up to \(needed >> 20) MiB, the machine has \(available >> 20) MiB there; give it more memory"
        : "it has \(needed) bytes, \(available) are free beside the kernel; give the machine more memory"
    }
  }
}
