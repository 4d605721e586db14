// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

/// What this machine's KVM is good for.
public enum KVMProbe: Equatable, Sendable {
  case usable
  case noHardware
  case noDevice(path: String)
  case noPermission(path: String)
  case unopenable(path: String, errno: Int32)
  case notKVM(path: String)
  case noHyperV(path: String, missing: String)

  /// The capabilities of KVM's Hyper-V emulation that a partition stands on (linux/kvm.h).
  static let needed: [(name: String, number: Int32)] = [
    ("KVM_CAP_HYPERV", 44), ("KVM_CAP_HYPERV_SYNIC2", 148), ("KVM_CAP_HYPERV_EVENTFD", 154),
  ]
  /// KVM_GET_API_VERSION and KVM_CHECK_EXTENSION: _IO(0xAE, 0x00) and _IO(0xAE, 0x03).
  private static let getAPIVersion: UInt = 0xAE00
  private static let checkExtension: UInt = 0xAE03

  /// `hardware`: whether the processors can run guests, nil to ask them.
  static func look(at path: String, hardware: Bool? = nil) -> KVMProbe {
    // The device may exist (a module built in, a node made by hand) where no processor can run a guest.
    let hardware = hardware ?? hasVirtualization()
    let descriptor = unsafe open(path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else {
      let error = errno
      switch error {
      case ENOENT, ENXIO, ENODEV: return hardware ? .noDevice(path: path) : .noHardware
      case EACCES, EPERM: return hardware ? .noPermission(path: path) : .noHardware
      default: return .unopenable(path: path, errno: error)
      }
    }
    defer { close(descriptor) }
    guard hardware else { return .noHardware }
    guard ioctl(descriptor, getAPIVersion, 0 as CInt) == 12 else { return .notKVM(path: path) }
    for capability in needed where ioctl(descriptor, checkExtension, capability.number) <= 0 {
      return .noHyperV(path: path, missing: capability.name)
    }
    return .usable
  }

  /// VMX (leaf 1, ECX bit 5; Intel SDM volume 3, 24.6) or SVM (leaf 8000_0001h, ECX bit 2; AMD APM volume 3, appendix E).
  /// Asked of the processor: reading /proc/cpuinfo takes milliseconds, on some machines for every processor.
  static func hasVirtualization(_ leaf: (UInt32) -> clinux_cpuid = { clinux_native_cpuid($0) }) -> Bool {
    if leaf(1).ecx & 1 << 5 != 0 { return true }
    return leaf(0x8000_0000).eax >= 0x8000_0001 && leaf(0x8000_0001).ecx & 1 << 2 != 0
  }

  /// What was found, in a few words.
  public var reason: String {
    switch self {
    case .usable: "KVM works"
    case .noHardware: "the processors offer neither VMX nor SVM"
    case .noDevice(let path): "there is no \(path)"
    case .noPermission(let path): "no permission to open \(path)"
    case .unopenable(let path, let error): "\(path) does not open: \(SystemError.message(error))"
    case .notKVM(let path): "\(path) is not KVM's device, or speaks another API version"
    case .noHyperV(let path, let missing): "KVM at \(path) has no Hyper-V emulation (\(missing) is missing)"
    }
  }

  /// What the user can do about it.
  var remedy: String {
    switch self {
    case .usable: "nothing to do"
    case .noHardware: "use --accelerator software, or enable virtualization in the firmware or the outer hypervisor"
    case .noDevice: "load the module kvm_intel or kvm_amd, or use --accelerator software"
    case .noPermission: "add yourself to the device's group (usually kvm), or use --accelerator software"
    case .unopenable, .notKVM: "use --accelerator software"
    case .noHyperV: "use a kernel built with CONFIG_KVM_HYPERV, or --accelerator software"
    }
  }
}
