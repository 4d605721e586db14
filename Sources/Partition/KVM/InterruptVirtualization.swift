// SPDX-License-Identifier: Apache-2.0

/// Whether the host's processors deliver interrupts to guests, and take their ends, without KVM: Intel's APICv, AMD's AVIC.
enum InterruptVirtualization {
  /// The parameters in which KVM says so, once it is loaded.
  private static let parameters = ["kvm_intel/parameters/enable_apicv", "kvm_amd/parameters/avic"]

  /// `modules`: /sys/module, in tests another folder. Where nothing is said: true.
  static func isUsed(modules: String = "/sys/module") -> Bool {
    let answers = parameters.compactMap { KernelFile.start(of: "\(modules)/\($0)", count: 1).first }
    return answers.isEmpty || answers.contains { $0 == UInt8(ascii: "Y") || $0 == UInt8(ascii: "1") }
  }
}
