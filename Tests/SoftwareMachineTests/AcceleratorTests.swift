// SPDX-License-Identifier: Apache-2.0

import CLinux
import Testing

@testable import SoftwareMachine

@Suite struct AcceleratorTests {
  @Test func virtualizationIsAskedOfTheProcessor() {
    func can(_ leaf1: UInt32, highest: UInt32, extended: UInt32) -> Bool {
      KVMProbe.hasVirtualization { leaf in
        let eax: UInt32 = leaf == 0x8000_0000 ? highest : 0
        let ecx: UInt32 = leaf == 1 ? leaf1 : extended
        return clinux_cpuid(eax: eax, ebx: 0, ecx: ecx, edx: 0)
      }
    }
    #expect(can(1 << 5, highest: 0, extended: 0), "VMX")
    #expect(can(0, highest: 0x8000_0001, extended: 1 << 2), "SVM")
    #expect(!can(0, highest: 0x8000_0000, extended: 1 << 2), "no such leaf: what it answers says nothing")
    #expect(!can(~(1 << 5), highest: 0x8000_0008, extended: ~(1 << 2)))
  }

  @Test func autoFallsBackAndSaysWhy() throws {
    let choice = try AcceleratorChoice.choose(.auto, kvm: .noHardware, qemu: true)
    #expect(choice.accelerator == .software)
    #expect(choice.line.contains("neither VMX nor SVM"))
    #expect(try AcceleratorChoice.choose(.auto, kvm: .usable, qemu: false).accelerator == .kvm)
  }

  @Test(arguments: [
    KVMProbe.noHardware, .noDevice(path: "/dev/kvm"), .noPermission(path: "/dev/kvm"), .notKVM(path: "/dev/kvm"),
    .unopenable(path: "/dev/kvm", errno: 16), .noHyperV(path: "/dev/kvm", missing: "KVM_CAP_HYPERV_SYNIC2"),
  ])
  func forcedKVMNamesReasonAndRemedy(probe: KVMProbe) {
    #expect(throws: AcceleratorError.noKVM(probe)) { try AcceleratorChoice.choose(.kvm, kvm: probe, qemu: true) }
    let text = AcceleratorError.noKVM(probe).description
    #expect(text.contains(probe.reason))
    #expect(text.contains("--accelerator software"))
  }

  @Test func withoutQEMUThePackageIsNamed() {
    #expect(throws: AcceleratorError.noQEMU) { try AcceleratorChoice.choose(.software, kvm: .usable, qemu: false) }
    #expect(AcceleratorError.noQEMU.description.contains("qemu-system-x86"))
    #expect(AcceleratorError.nothing(.noHardware).description.contains("qemu-system-x86"))
  }

  @Test func aMissingOrWrongDevice() {
    #expect(KVMProbe.look(at: "/nonexistent/kvm", hardware: true) == .noDevice(path: "/nonexistent/kvm"))
    #expect(KVMProbe.look(at: "/dev/null", hardware: true) == .notKVM(path: "/dev/null"))
    #expect(KVMProbe.look(at: "/nonexistent/kvm", hardware: false) == .noHardware)
  }

  @Test func memoryComesInClasses() {
    #expect(QEMUCommand.memoryMebibytes(guestBytes: 128 << 20) == 1024)
    #expect(QEMUCommand.memoryMebibytes(guestBytes: 512 << 20) == 1024)
    #expect(QEMUCommand.memoryMebibytes(guestBytes: 1 << 30) == 3072)
    #expect(QEMUCommand.memoryMebibytes(guestBytes: 4 << 30) == 6144)
    #expect(QEMUCommand.memoryMebibytes(guestBytes: .max) == .max)
    for guest in stride(from: 128, through: 65536, by: 128) {
      #expect(QEMUCommand.memoryMebibytes(guestBytes: UInt64(guest) << 20) >= guest + 320)
    }
  }

  @Test func savedAndRestoredMachinesAreTheSame() {
    let machine = QEMUCommand.machine(memoryMebibytes: 1024)
    let boot = QEMUCommand.boot(memoryMebibytes: 1024, kernel: "k", initramfs: "i", commandLine: "c")
    for count in 0...QEMUCommand.diskCount {
      #expect(QEMUCommand.restore(memoryMebibytes: 1024, fileCount: count).starts(with: machine))
    }
    #expect(boot.starts(with: machine))
  }

  @Test func theInnerLogIsBoundedAndUnderstood() {
    var log = InnerLog()
    #expect(log.append(Array("boot\r\nLIS-RE".utf8)[...]).isEmpty)
    #expect(log.append(Array("ADY\n".utf8)[...]) == [.ready])
    #expect(log.append(Array("x LIS-FAILED no port\n".utf8)[...]) == [.failed("no port")])
    let panic = "[ 1.0] Kernel panic - not syncing: x"
    #expect(log.append(Array((panic + "\n").utf8)[...]) == [.panic("Kernel panic - not syncing: x")])
    #expect(log.tail.contains(panic))
    for _ in 0..<1000 { _ = log.append(Array(repeating: 0x41, count: 5000)[...] + [0x0A]) }
    #expect(log.lines.count <= 40)
    #expect(log.lines.allSatisfy { $0.utf8.count <= 512 })
  }
}
