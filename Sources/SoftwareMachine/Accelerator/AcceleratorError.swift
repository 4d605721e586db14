// SPDX-License-Identifier: Apache-2.0

/// Why no accelerator could be taken.
public enum AcceleratorError: Error, Equatable, CustomStringConvertible {
  /// KVM was forced and cannot be used.
  case noKVM(KVMProbe)
  /// The software machine was forced and QEMU is missing.
  case noQEMU
  /// `auto`: neither of the two.
  case nothing(KVMProbe)

  static let qemuRemedy = "install the package qemu-system-x86, or name the program in LIS_QEMU"

  public var description: String {
    switch self {
    case .noKVM(let probe): "KVM cannot be used: \(probe.reason); \(probe.remedy)"
    case .noQEMU: "the software machine needs QEMU, and qemu-system-x86_64 was not found; \(Self.qemuRemedy)"
    case .nothing(let probe):
      "KVM cannot be used (\(probe.reason)), and the software machine needs QEMU, which was not found; "
        + Self.qemuRemedy
    }
  }
}
