// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import TestSupport
import Testing
import VirtualDisks

@testable import SoftwareMachine

/// The whole way: this machine, QEMU's software processor, the small Linux, the probe in it and back.
///
/// Slow (a software processor runs Swift), so one boot does many things. A debug build takes most of a minute.
@Suite(
  .serialized, .enabled(if: QEMU.find() != nil, "qemu-system-x86_64 is not installed (package qemu-system-x86)"),
  .enabled(if: ProbeProgram.path != nil, "the probe is not built"))
struct EndToEndTests {
  struct Outcome {
    let end: ChildProcess.End
    let output: String
    let errors: String
  }

  /// Runs the probe; `action` is done once, when its output contains `mark`.
  private func run(
    _ arguments: String..., after mark: String? = nil, _ action: (pid_t) throws -> Void = { _ in }
  ) throws -> Outcome {
    let null = try Descriptor.open("/dev/null", O_RDWR)
    let out = try Descriptor.pipe()
    let err = try Descriptor.pipe()
    let child = try ChildProcess(
      try #require(ProbeProgram.path), arguments, descriptors: [null.number, out.second.number, err.second.number])
    var (output, errors): ([UInt8], [UInt8]) = ([], [])
    Stream.setNonblocking(out.first.number)
    Stream.setNonblocking(err.first.number)
    var sent = false
    var over = false
    let deadline = Clock.monotonic() &+ 300 * Clock.second
    while !over {
      var entries = [child.ended.number, out.first.number, err.first.number].map {
        pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
      }
      _ = Stream.poll(&entries, milliseconds: 1000)
      over = entries[0].revents != 0
      while case .bytes = Stream.read(out.first.number, into: &output, limit: 65536) {}
      while case .bytes = Stream.read(err.first.number, into: &errors, limit: 65536) {}
      if let mark, !sent, String(decoding: output, as: UTF8.self).contains(mark) {
        sent = true
        try action(child.identifier)
      }
      if Clock.monotonic() > deadline { kill(child.identifier, SIGKILL) }
    }
    return Outcome(
      end: child.wait(), output: String(decoding: output, as: UTF8.self),
      errors: String(decoding: errors, as: UTF8.self))
  }

  @Test func kernelKVMClockStreamsAndExitCode() throws {
    let before = Clock.wall() / Clock.second
    let outcome = try run("version,kvm,clock,echo:hello,error:oops,exit:130")
    #expect(outcome.end == .exited(130), "\(outcome.errors)")
    #expect(outcome.output.contains("Linux version 6"))
    #expect(outcome.output.contains("kvm version 12, synic2 1, eventfd 1, processor true"))
    #expect(outcome.output.hasSuffix("hello\n"))
    #expect(outcome.errors.contains("oops"))
    let clock = outcome.output.split(separator: "\n").first { $0.hasPrefix("clock ") }.flatMap {
      UInt64($0.dropFirst(6))
    }
    #expect(try #require(clock) >= before && clock! <= Clock.wall() / Clock.second + 1)
  }

  @Test func filesArriveWithTheirExactLength() throws {
    let scratch = try TemporaryFolder()
    defer { withExtendedLifetime(scratch) {} }
    let folder = scratch.path
    var lines: [String] = []
    for (name, size) in [("odd", 100_001), ("one", 1)] {
      let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ size) }
      try SystemFiles.write(bytes, to: "\(folder)/\(name)")
      var hash: UInt64 = 0xCBF2_9CE4_8422_2325
      for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
      lines.append("file \(size) \(String(hash, radix: 16))\n")
    }
    let outcome = try run("files", "\(folder)/odd", "\(folder)/one")
    #expect(outcome.end == .exited(0), "\(outcome.errors)")
    #expect(outcome.output == lines.joined())
  }

  /// The images lie out here, open and locked by us, while the inner program reads, writes, discards and grows them.
  @Test func imagesAreReadAndWrittenFromInside() throws {
    let scratch = try TemporaryFolder()
    defer { withExtendedLifetime(scratch) {} }
    let folder = scratch.path
    let (raw, parent, child) = ("\(folder)/a.img", "\(folder)/parent.vhd", "\(folder)/child.vhd")
    let first = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    try SystemFiles.write(first + [UInt8](repeating: 1, count: 3 << 20), to: raw)
    try ImageCreation(path: parent, byteCount: 8 << 20).perform()
    var creation = ImageCreation(path: child)
    creation.parentPath = parent
    try creation.perform()
    let missing = "\(folder)/missing.img"
    let outcome = try run(
      "--image", raw, "--image", child, "--image", missing,
      "image:\(raw),image:\(child),image:\(missing),image:/etc/passwd,exit:0")
    #expect(outcome.end == .exited(0), "\(outcome.errors)")
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in first { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    #expect(outcome.output.contains("image \(4 << 20) of 1\nread \(String(hash, radix: 16))\ngrown \(8 << 20)\n"))
    #expect(outcome.output.contains("image \(8 << 20) of 2\n"))
    #expect(outcome.output.contains("error \(missing): cannot open: No such file or directory\n"))
    #expect(outcome.output.contains("error /etc/passwd: cannot open: Permission denied"))
    let bytes = try #require(SystemFiles.bytes(at: raw))
    #expect(bytes.count == 8 << 20)
    #expect(bytes[..<(1 << 20)].allSatisfy { $0 == 0 }, "discarded")
    #expect(bytes[(1 << 20)..<(2 << 20)].elementsEqual((0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 13) }))
    #expect(bytes[(2 << 20)..<(4 << 20)].allSatisfy { $0 == 1 })
  }

  @Test func aCrashInsideIsNamedAndItsLastWordsArrive() throws {
    let outcome = try run("trap")
    #expect(outcome.end == .exited(99))
    #expect(outcome.errors.contains("as ordered"))
    #expect(outcome.errors.contains("ended by signal"))
  }

  @Test func aPanicOfTheInnerKernelIsNamed() throws {
    let outcome = try run("panic")
    #expect(outcome.end == .exited(99))
    #expect(outcome.errors.contains("Kernel panic"))
  }

  @Test func aSignalReachesTheInnerProgram() throws {
    let outcome = try run("signal,exit:5", after: "waiting") { kill($0, SIGTERM) }
    #expect(outcome.end == .exited(5), "\(outcome.errors)")
    #expect(outcome.output.contains("signal \(SIGTERM)"))
  }

  @Test func anAnnouncedEndIsNotWaitedFor() throws {
    let start = Clock.monotonic()
    let outcome = try run("echo:last words,ends:7,wait:120,exit:8")
    #expect(outcome.end == .exited(7), "\(outcome.errors)")
    #expect(outcome.output == "last words\n")
    #expect(Clock.monotonic() &- start < 100 * Clock.second)
  }

  @Test func clientsOfTheSocketReachTheInnerServer() throws {
    let scratch = try TemporaryFolder()
    defer { withExtendedLifetime(scratch) {} }
    let folder = scratch.path
    let path = folder + "/control.sock"
    let outcome = try run("--socket", path, "serve,exit:3", after: "serving") { _ in
      func connected() throws -> Descriptor {
        let client = Descriptor(owning: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
        let result = try unsafe SocketAddress.with(path) { unsafe connect(client.number, $0, $1) }
        #expect(result == 0)
        return client
      }
      let first = try connected()
      let second = try connected()
      let sent = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      try Stream.writeAll(second.number, [9])
      // More than the pipes between hold: writing and reading take turns.
      var received: [UInt8] = []
      for start in stride(from: 0, to: sent.count, by: 20_000) {
        try Stream.writeAll(first.number, Array(sent[start..<start + 20_000]))
        while received.count < start + 20_000 {
          guard case .bytes = Stream.read(first.number, into: &received, limit: 65536) else { break }
        }
      }
      #expect(received == sent)
      var other: [UInt8] = []
      _ = Stream.read(second.number, into: &other, limit: 16)
      #expect(other == [9])
      try Stream.writeAll(second.number, Array("quit".utf8))
    }
    #expect(outcome.end == .exited(3), "\(outcome.errors)")
    #expect(unsafe access(path, F_OK) != 0, "the socket is removed at the end")
  }

  @Test func aFileThatIsNotThereIsNamedAtOnce() throws {
    let outcome = try run("exit:0", "/nonexistent/kernel")
    #expect(outcome.end == .exited(99))
    #expect(outcome.errors.contains("/nonexistent/kernel: No such file or directory"))
  }
}
