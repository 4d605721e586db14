// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestSupport
import Testing

@testable import Partition

/// What `Partition.init` says about its input before it touches KVM.
@Suite struct BootFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func file(_ name: String, _ bytes: [UInt8]) throws -> BootFile {
    BootFile(path: try folder.write(name, bytes))
  }

  func problem(
    kernel: BootFile, initramfs: BootFile? = nil, commandLine: String = "", processors: Int = 1,
    memory: UInt64 = 128 << 20
  ) -> PartitionError? {
    let configuration = PartitionConfiguration(
      processors: processors, memoryBytes: memory, kernel: kernel, initramfs: initramfs, commandLine: commandLine)
    do throws(PartitionError) {
      try configuration.check()
      let memory = try GuestMemory(byteCount: configuration.memoryBytes)
      let loader = try BootLoader(configuration, ranges: memory.ranges)
      let load = try FileLoad(loader, into: memory)
      try load.finish()
      try loader.writeParameters(into: memory, acpi: [1, 2, 3], managementInformation: [4, 5], seed: [9])
      return nil
    } catch { return error }
  }

  @Test func aGoodPairLoads() throws {
    #expect(try problem(kernel: file("good", BootTests.bzImage()), initramfs: file("initramfs", [1, 2, 3])) == nil)
    #expect(try problem(kernel: file("elf", BootTests.elf())) == nil)
  }

  @Test func kernels() throws {
    let missing = folder.path + "/missing"
    #expect(problem(kernel: BootFile(path: missing)) == .kernel(path: missing, .missing))
    #expect(problem(kernel: BootFile(path: folder.path)) == .kernel(path: folder.path, .notAFile))
    let empty = try file("empty", [])
    #expect(problem(kernel: empty) == .kernel(path: empty.path, .empty))
    let text = try file("text", [UInt8](repeating: 0x20, count: 10_000))
    #expect(problem(kernel: text) == .kernel(path: text.path, .notAKernel))
    let cut = try file("cut", Array(BootTests.bzImage().dropLast(100)))
    #expect(problem(kernel: cut) == .kernel(path: cut.path, .truncated(needed: 6656, available: 6556)))
    var huge = BootTests.bzImage()
    huge.replaceSubrange(0x260..<0x264, with: AML.little(UInt32(0x0800_0000)))
    let large = try file("large", huge)
    #expect(problem(kernel: large) == .kernel(path: large.path, .doesNotFit(needed: 0x0900_0000, available: 128 << 20)))
  }

  @Test func initramfs() throws {
    let kernel = try file("kernel", BootTests.bzImage())
    #expect(
      problem(kernel: kernel, initramfs: BootFile(path: "/nowhere/at/all"))
        == .initramfs(path: "/nowhere/at/all", .missing))
    // A sparse file as large as the machine.
    let path = folder.path + "/sparse"
    let descriptor = unsafe open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    ftruncate(descriptor, 128 << 20)
    close(descriptor)
    #expect(
      problem(kernel: kernel, initramfs: BootFile(path: path))
        == .initramfs(path: path, .doesNotFit(needed: 128 << 20, available: 64 << 20)))
    let part = BootFile(path: path, offset: 4096, length: 129 << 20)
    #expect(
      problem(kernel: kernel, initramfs: part)
        == .initramfs(path: path, .truncated(needed: 129 << 20, available: 128 << 20 - 4096)))
  }

  @Test func partsOfFiles() throws {
    let padding = [UInt8](repeating: 0xEE, count: 512)
    let whole = try file("parts", padding + BootTests.bzImage() + padding)
    let part = BootFile(path: whole.path, offset: 512, length: UInt64(BootTests.bzImage().count))
    #expect(problem(kernel: part) == nil)
  }

  @Test func commandLines() throws {
    let kernel = try file("kernel", BootTests.bzImage())
    #expect(problem(kernel: kernel, commandLine: String(repeating: "x", count: 2047)) == nil)
    #expect(
      problem(kernel: kernel, commandLine: String(repeating: "x", count: 2048))
        == .commandLineTooLong(2048, limit: 2047))
    #expect(problem(kernel: kernel, commandLine: "a\0b") == .commandLineNotUsable)
  }

  @Test func sizes() throws {
    let kernel = try file("kernel", BootTests.bzImage())
    #expect(problem(kernel: kernel, processors: 0) == .processorCountOutOfRange(0))
    #expect(problem(kernel: kernel, processors: 9) == .processorCountOutOfRange(9))
    #expect(problem(kernel: kernel, memory: 64 << 20) == .memoryTooSmall(64 << 20))
    #expect(problem(kernel: kernel, memory: 129 << 20) == .memorySizeNotUsable(129 << 20))
    guard case .memoryLargerThanHost = problem(kernel: kernel, memory: 1 << 50) else {
      Issue.record("a petabyte was accepted")
      return
    }
  }

  @Test func textsNameInputAndRemedy() throws {
    #expect(
      PartitionError.kernel(path: "/k", .wrongArchitecture("arm64")).description
        == "kernel /k: it is for arm64; give one for 64-bit x86")
    #expect(PartitionError.processorCountOutOfRange(9).description == "9 processors: a machine has 1 to 8")
    #expect(PartitionError.kvmMissing(path: "/dev/kvm").description.contains("/dev/kvm"))
    #expect(
      PartitionError.system(operation: "creating a thing", errno: EMFILE).description.contains("Too many open files"))
  }

  @Test func missingDevices() throws {
    #expect(throws: PartitionError.kvmMissing(path: "/nowhere/kvm")) { try KVMSystem(path: "/nowhere/kvm") }
    #expect(throws: PartitionError.kvmNotUsable(path: "/dev/null", reason: "it is not a KVM device")) {
      try KVMSystem(path: "/dev/null")
    }
  }
}
