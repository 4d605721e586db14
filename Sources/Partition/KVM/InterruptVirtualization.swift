// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Whether the host's processors deliver interrupts to guests, and take their ends, without KVM: Intel's APICv, AMD's AVIC.
enum InterruptVirtualization {
  /// The parameters in which KVM says so, once it is loaded.
  private static let parameters = ["kvm_intel/parameters/enable_apicv", "kvm_amd/parameters/avic"]

  /// `modules`: /sys/module, in tests another folder. Where nothing is said: true.
  static func isUsed(modules: String = "/sys/module") -> Bool {
    let answers = parameters.compactMap { firstByte(of: "\(modules)/\($0)") }
    return answers.isEmpty || answers.contains { $0 == UInt8(ascii: "Y") || $0 == UInt8(ascii: "1") }
  }

  private static func firstByte(of path: String) -> UInt8? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var byte: UInt8 = 0
    return unsafe read(descriptor, &byte, 1) == 1 ? byte : nil
  }
}
