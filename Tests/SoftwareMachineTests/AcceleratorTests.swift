// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import SoftwareMachine

@Suite struct AcceleratorTests {
  @Test func flagsOfTheProcessorAreWholeWords() {
    #expect(KVMProbe.hasVirtualization(Array("model name\t: x\nflags\t\t: fpu vmx sse\n".utf8)))
    #expect(KVMProbe.hasVirtualization(Array("flags : svm".utf8)))
    #expect(!KVMProbe.hasVirtualization(Array("flags\t\t: fpu svm_lock vmxoff\n".utf8)))
    #expect(!KVMProbe.hasVirtualization(Array("".utf8)))
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
    let flags = "flags : vmx"
    #expect(KVMProbe.look(at: "/nonexistent/kvm", cpuinfo: Array(flags.utf8)) == .noDevice(path: "/nonexistent/kvm"))
    #expect(KVMProbe.look(at: "/dev/null", cpuinfo: Array(flags.utf8)) == .notKVM(path: "/dev/null"))
    #expect(KVMProbe.look(at: "/nonexistent/kvm", cpuinfo: Array("flags : sse".utf8)) == .noHardware)
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
