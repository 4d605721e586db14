// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import TestSupport
import Testing

@testable import SoftwareMachine

@Suite struct CacheTests {
  /// A cache in a folder of its own, removed at the end.
  final class Scratch {
    private let folder: TemporaryFolder
    let cache: Cache

    init() throws {
      folder = try TemporaryFolder()
      cache = Cache(folder: folder.path)
    }
  }

  @Test func anEntryIsThereWholeOrNotAtAll() throws {
    let scratch = try Scratch()
    let cache = scratch.cache
    #expect(cache.find("boot-1") == nil)
    let path = try cache.build("boot-1") { folder throws(SoftwareMachineError) in
      #expect(cache.find("boot-1") == nil)
      try? SystemFiles.write([1, 2], to: folder + "/a")
    }
    #expect(cache.find("boot-1") == path)
    #expect(SystemFiles.bytes(at: path + "/a") == [1, 2])
    #expect(throws: SoftwareMachineError.noQEMU) {
      _ = try cache.build("boot-2") { _ throws(SoftwareMachineError) in throw .noQEMU }
    }
    #expect(Folder.names(cache.folder) == ["boot-1"])
  }

  @Test func pruningKeepsTheLastUsedAndRemovesWhatWasBrokenOff() throws {
    let scratch = try Scratch()
    let cache = scratch.cache
    for name in ["state-a", "state-b", "state-c", ".new-state-d"] {
      try Folder.make(cache.path(name))
      usleep(20_000)
    }
    _ = cache.find("state-a")
    cache.prune(keeping: ["state": 2])
    #expect(Folder.names(cache.folder) == ["state-a", "state-c"])
  }

  @Test func aFolderThatCannotBeWrittenIsNamed() {
    let cache = Cache(folder: "/proc/nothing/here")
    do {
      _ = try cache.build("boot-1") { _ throws(SoftwareMachineError) in }
      Issue.record("built in /proc")
    } catch {
      #expect("\(error)".contains("/proc/nothing"))
    }
  }

  @Test func theLockIsHeldByOneAtATime() throws {
    let scratch = try Scratch()
    let interrupts = try Interrupts()
    let lock = try scratch.cache.lock(interrupts: interrupts) { Issue.record("nobody holds it") }
    let other = try Descriptor.open(scratch.cache.path("lock"), O_RDWR)
    #expect(flock(other.number, LOCK_EX | LOCK_NB) != 0)
    _ = lock.number
  }

  /// The layout is the kernel's (buffer-format document): each number checked at its place.
  @Test func archiveBytes() {
    var archive = Archive()
    archive.addFile("a/b", mode: 0o755, content: [0x68, 0x69])
    archive.addCharacterDevice("dev/console", major: 5, minor: 1)
    archive.finish()
    let text = String(decoding: archive.bytes, as: UTF8.self)
    let head = "070701" + "00000001" + "000041ED" + "00000000" + "00000000" + "00000002"
    #expect(text.uppercased().hasPrefix(head))
    #expect(archive.bytes.count % 4 == 0)
    // Folder "a": 110 bytes and "a\0" make 112. File "a/b": 110 and "a/b\0" make 114, padded to 116.
    let file = archive.bytes[112...]
    #expect(file.starts(with: "07070100000002000081ed".utf8))
    #expect(file.dropFirst(110).starts(with: "a/b\0".utf8))
    #expect(file.dropFirst(116).starts(with: "hi\0\0070701".utf8))
    #expect(text.contains("dev/console"))
    #expect(text.contains("TRAILER!!!"))
  }

  @Test func contentNamesDifferByContent() throws {
    func name(_ texts: String...) -> String {
      var hash = ContentHash()
      for text in texts { hash.add(text) }
      return hash.text
    }
    let names = ["", "a", "b", "a\0", "abcdefgh", "abcdefgi", "abcdefghi"].map { name($0) }
    #expect(Set(names).count == names.count)
    #expect(names.allSatisfy { $0.count == 32 })
    #expect(name("x", "y") == name("x", "y"))
    #expect(name("ab", "c") != name("a", "bc"))
  }

  @Test func modulesComeAfterWhatTheyNeed() throws {
    let index = ModuleIndex(
      order: "kernel/arch/x86/kvm/kvm.ko\nkernel/arch/x86/kvm/kvm-amd.ko\nkernel/virt/lib/irqbypass.ko\n",
      builtIn: "kernel/drivers/block/virtio_blk.ko\n")
    let needs = ["kvm": "irqbypass", "kvm-amd": "kvm", "irqbypass": ""]
    func content(_ file: String) -> [UInt8] {
      let name = file.split(separator: "/").last?.split(separator: ".").first.map(String.init) ?? ""
      return Array("ELF\0license=GPL\0depends=\(needs[name] ?? "")\0name=x\0".utf8)
    }
    let loaded = try index.load(["kvm_amd", "virtio_blk", "kvm"]) { file throws(SoftwareMachineError) in content(file) }
    #expect(loaded.map(\.name) == ["irqbypass", "kvm", "kvm_amd"])
    #expect(throws: SoftwareMachineError.preparation("the software machine's kernel has no module nbd")) {
      _ = try index.load(["nbd"]) { file throws(SoftwareMachineError) in content(file) }
    }
    #expect(ModuleIndex.needs(ofModule: []) == [])
    #expect(ModuleIndex.needs(ofModule: Array("\0depen".utf8)) == [])
  }

  @Test func thisProgramNamesItsLoader() throws {
    let bytes = try #require(SystemFiles.bytes(at: "/bin/sh"))
    let interpreter = try #require(ProgramImage.interpreter(ofProgram: bytes))
    #expect(interpreter.contains("ld-linux"))
    for count in [0, 4, 20, 63, 64, 100, 200] {
      _ = ProgramImage.interpreter(ofProgram: Array(bytes.prefix(count)))
    }
    var broken = bytes
    for offset in 32..<64 { broken[offset] = 0xFF }
    #expect(ProgramImage.interpreter(ofProgram: broken) == nil)
    let listing = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/libc.so.6 (0x2)\n\t/lib64/ld-linux.so.2 (0x3)\n"
    #expect(ProgramImage.libraries(listing: listing) == ["/lib/libc.so.6"])
  }
}
