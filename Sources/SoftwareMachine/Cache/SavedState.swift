// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

/// The inner machine, booted and waiting for its orders, as a file that QEMU restores.
struct SavedState {
  let path: String

  /// What a state depends on: the boot image, QEMU, its arguments, this machine's clock.
  static func identity(
    bootImage: String, qemu: String, qemuVersion: String, memoryMebibytes: Int
  ) -> String {
    var hash = ContentHash()
    hash.add("\(bootImage) \(qemu) \(qemuVersion) \(QEMUCommand.machine(memoryMebibytes: memoryMebibytes))")
    hash.add(QEMUCommand.kernelCommandLine(memoryMebibytes: memoryMebibytes, tscKilohertz: nil))
    // The state holds this processor's counter frequency.
    let processor = (SystemFiles.text(at: "/proc/cpuinfo") ?? "").split(separator: "\n")
      .first { $0.hasPrefix("model name") }
    hash.add("\(processor ?? "") \(SystemFiles.text(at: "/etc/machine-id") ?? "")")
    return "state-\(hash.text)"
  }

  static func cached(_ identity: String, in cache: Cache) -> SavedState? {
    cache.find(identity).map { SavedState(path: $0 + "/state") }
  }

  /// Boots the machine, waits until its init is ready, saves it.
  static func prepare(
    _ identity: String, qemu: String, kernel: InnerKernel, bootImage: BootImage, memoryMebibytes: Int,
    in cache: Cache, interrupts: Interrupts, progress: (String) -> Void
  ) throws(SoftwareMachineError) -> SavedState {
    if let state = cached(identity, in: cache) { return state }
    progress("booting the software machine's Linux")
    let folder = try cache.build(identity) { folder throws(SoftwareMachineError) in
      let command = QEMUCommand.boot(
        memoryMebibytes: memoryMebibytes, kernel: kernel.image, initramfs: bootImage.path,
        commandLine: QEMUCommand.kernelCommandLine(
          memoryMebibytes: memoryMebibytes, tscKilohertz: timeStampKilohertz()))
      do {
        let null = try Descriptor.open("/dev/null", O_RDWR)
        let port = try Descriptor.socketPair()
        let serial = try Descriptor.socketPair()
        let monitor = try Descriptor.socketPair()
        let images = try Descriptor.socketPair()
        let window = try DataWindow.memory()
        let networks = try NetworkStreams()
        let messages = try Descriptor.pipe()
        Stream.setNonblocking(messages.first.number)
        let process = try ChildProcess(
          qemu, command,
          descriptors: [
            null.number, messages.second.number, messages.second.number, port.second.number, serial.second.number,
            monitor.second.number, images.second.number, window.number,
          ] + networks.descriptors)
        defer { process.killAndWait() }
        try waitUntilReady(process, serial: serial.first.number, messages: messages.first.number, interrupts)
        // Let the kernel finish what it does in the background before everything stands still for good.
        usleep(300_000)
        progress("saving the software machine's state")
        try save(monitor.first.number, to: folder + "/state", interrupts)
      } catch let error as SystemError {
        throw .preparation("the software machine cannot be started: \(error)")
      } catch let error as SoftwareMachineError {
        throw error
      } catch {
        throw .preparation("the software machine cannot be started")
      }
    }
    return SavedState(path: folder + "/state")
  }

  private static func waitUntilReady(
    _ process: borrowing ChildProcess, serial: Int32, messages: Int32, _ interrupts: Interrupts
  ) throws(SoftwareMachineError) {
    Stream.setNonblocking(serial)
    var log = InnerLog()
    // Lost interrupts (see `OuterLoop`) can happen here too, and the machine is on a busy computer maybe.
    let deadline = Clock.monotonic() &+ 300 * Clock.second
    var nextKick = Clock.monotonic()
    while Clock.monotonic() < deadline {
      var entries = [serial, process.ended.number].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      _ = Stream.poll(&entries, milliseconds: 100)
      if let signal = interrupts.pending() { throw .interrupted(signal: signal) }
      var bytes: [UInt8] = []
      while case .bytes = Stream.read(serial, into: &bytes, limit: 65536) {}
      for finding in log.append(bytes[...]) {
        switch finding {
        case .ready: return
        case .failed(let reason): throw .innerLinux(reason)
        case .panic(let line): throw .innerLinux("\(line); \(log.tail)")
        }
      }
      if entries[1].revents != 0 {
        var bytes: [UInt8] = []
        _ = Stream.read(messages, into: &bytes, limit: 4096)
        let text = String(decoding: bytes, as: UTF8.self)
        throw .qemu(text.isEmpty ? "it ended while the inner Linux booted; \(log.tail)" : text)
      }
      if Clock.monotonic() >= nextKick {
        nextKick = Clock.monotonic() &+ Clock.second / 10
        _ = Stream.write(serial, [UInt8(ascii: "\n")])
      }
    }
    throw .innerLinux("it was not ready after five minutes; \(log.tail)")
  }

  /// Lets QEMU write the state into a pipe of ours, so that a full disk is our error and the file is whole when we say so.
  private static func save(
    _ descriptor: Int32, to path: String, _ interrupts: Interrupts
  ) throws(SoftwareMachineError) {
    do {
      let file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_EXCL)
      let pipe = try Descriptor.pipe()
      let source = pipe.first
      var ours: Int32? = pipe.second.take()
      defer { if let ours { close(ours) } }
      Stream.setNonblocking(source.number)
      var monitor = Monitor(descriptor)
      for command in [
        "{\"execute\":\"qmp_capabilities\"}",
        "{\"execute\":\"migrate-set-parameters\",\"arguments\":{\"max-bandwidth\":1000000000000}}",
        "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"exec:exec cat > /proc/\(getpid())/fd/\(ours ?? -1)\"}}",
      ] {
        guard let answer = monitor.execute(command) else { throw SoftwareMachineError.qemu("its monitor is silent") }
        guard !answer.contains("\"error\"") else { throw SoftwareMachineError.qemu(answer) }
      }
      // Only reading from here on: QEMU's monitor is silent while it writes.
      var chunk: [UInt8] = []
      var silence = 0
      var isWhole = false
      while !isWhole {
        if let signal = interrupts.pending() { throw SoftwareMachineError.interrupted(signal: signal) }
        chunk.removeAll(keepingCapacity: true)
        switch Stream.read(source.number, into: &chunk, limit: 65536) {
        case .bytes:
          // The writer has its end open, so ours may go: then the pipe ends with its writer.
          if let end = ours { close(end) }
          ours = nil
          silence = 0
          try Stream.writeAll(file.number, chunk)
        case .end: isWhole = true
        case .failed(let error): throw SystemError("read", "the state", error: error)
        case .wait:
          var entry = [pollfd(fd: source.number, events: Int16(POLLIN), revents: 0)]
          if !Stream.poll(&entry, milliseconds: 1000) { silence += 1 }
          guard silence < 120 else { throw SoftwareMachineError.qemu("it does not write its state") }
        }
      }
      for _ in 0..<100 {
        guard let answer = monitor.execute("{\"execute\":\"query-migrate\"}") else { break }
        if answer.contains("\"completed\"") { return }
        guard !answer.contains("\"failed\"") else { throw SoftwareMachineError.qemu("saving failed: \(answer)") }
        usleep(50_000)
      }
      throw SoftwareMachineError.qemu("it ended while the state was saved")
    } catch let error as SoftwareMachineError {
      throw error
    } catch {
      throw .preparation("the software machine's state cannot be saved to \(path): \(error)")
    }
  }

  /// The time stamp counter's rate, measured against the monotonic clock for 50 ms. It must be right to 250 ppm: the inner
  /// Linux measures again, and KVM does not set up the counter of a guest whose rate is another than Linux's
  /// (kvm_set_tsc_khz of 6.1); its timers would never fire.
  private static func timeStampKilohertz() -> UInt64? {
    let start = timeStamp()
    usleep(50_000)
    let end = timeStamp()
    guard end.counter > start.counter, end.nanoseconds > start.nanoseconds else { return nil }
    return (end.counter &- start.counter) &* 1_000_000 / (end.nanoseconds &- start.nanoseconds)
  }

  /// The counter at a moment of the clock: of several looks the one in which the least went by, since this thread may lose
  /// its processor between the two.
  private static func timeStamp() -> (counter: UInt64, nanoseconds: UInt64) {
    var best: (counter: UInt64, nanoseconds: UInt64) = (0, 0)
    var least = UInt64.max
    for _ in 0..<20 {
      let before = clinux_time_stamp()
      let nanoseconds = Clock.read(CLOCK_MONOTONIC_RAW)
      let took = clinux_time_stamp() &- before
      if took < least {
        least = took
        best = (before &+ took / 2, nanoseconds)
      }
    }
    return best
  }
}
