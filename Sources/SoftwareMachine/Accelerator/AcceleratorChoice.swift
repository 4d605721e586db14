// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// What runs the guest's processors.
public enum Accelerator: String, Sendable {
  /// KVM of this machine.
  case kvm
  /// QEMU's software processor with a small Linux in it, whose KVM runs the guest.
  case software
}

/// What the user asked for.
public enum AcceleratorPreference: String, Sendable, CaseIterable {
  case auto, kvm, software
}

/// Which accelerator a run takes, and why.
public struct AcceleratorChoice: Sendable, Equatable {
  public let accelerator: Accelerator
  /// Why, in a few words without a full stop.
  public let reason: String

  /// The one line that says which was taken and why.
  public var line: String {
    switch accelerator {
    case .kvm: "accelerator: kvm (\(reason))"
    case .software: "accelerator: software, slow (\(reason))"
    }
  }

  /// Looks at this machine. A forced KVM that cannot work is an error; `auto` falls back to the software machine, and
  /// where that cannot work either, the error names both reasons.
  public static func choose(
    _ preference: AcceleratorPreference, kvmPath: String = "/dev/kvm"
  ) throws(AcceleratorError) -> AcceleratorChoice {
    try choose(preference, kvm: KVMProbe.look(at: kvmPath), qemu: QEMU.find() != nil)
  }

  /// The choice as a function of what was found.
  static func choose(
    _ preference: AcceleratorPreference, kvm: KVMProbe, qemu: Bool
  ) throws(AcceleratorError) -> AcceleratorChoice {
    switch (preference, kvm) {
    case (.kvm, .usable): return AcceleratorChoice(accelerator: .kvm, reason: "asked for")
    case (.kvm, let refused): throw .noKVM(refused)
    case (.auto, .usable):
      return AcceleratorChoice(accelerator: .kvm, reason: "hardware virtualization with KVM's Hyper-V emulation")
    case (.auto, let refused):
      guard qemu else { throw .nothing(refused) }
      return AcceleratorChoice(accelerator: .software, reason: refused.reason)
    case (.software, _):
      guard qemu else { throw .noQEMU }
      return AcceleratorChoice(accelerator: .software, reason: "asked for")
    }
  }
}
