// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import SoftwareMachine

/// What the probe does inside.
struct InnerProbe {
  let orders: InnerOrders

  init(_ orders: InnerOrders) { self.orders = orders }

  /// KVM's device once opened, a machine and a processor made: their code is warm in the saved state.
  static func warm() { _ = tryKVM() }

  func run() -> Int32 {
    for order in String(decoding: orders.configuration, as: UTF8.self).split(separator: ",") {
      let words = order.split(separator: ":", maxSplits: 1).map(String.init)
      let value = words.count > 1 ? words[1] : ""
      switch words[0] {
      case "version": print(Self.text("/proc/version"), terminator: "")
      case "kvm": print("kvm \(Self.tryKVM())")
      case "clock": print("clock \(time(nil))")
      case "files": for file in orders.files { print("file \(file.byteCount) \(checksum(file))") }
      case "image": ImageProbe(path: value).use()
      case "speed": ImageProbe(path: value).measure()
      case "echo": print(value)
      case "error": Probe.say(value)
      case "cat": copyInput()
      case "flood": flood(Int(value) ?? 0)
      case "serve": serve()
      case "wait": sleep(UInt32(value) ?? 1)
      case "signal": waitForSignal()
      case "trap": fatalError("as ordered")
      case "kill": kill(getpid(), SIGSEGV)
      case "panic": panic()
      case "ends": InnerMachine.ends(with: Int32(value) ?? 0)
      case "exit": return Int32(value) ?? 0
      default: print("unknown order \(order)")
      }
      fflush(nil)
    }
    return 0
  }

  /// KVM's API version and whether it has the SynIC and the Hyper-V event descriptors.
  static func tryKVM() -> String {
    let kvm = unsafe open("/dev/kvm", O_RDWR | O_CLOEXEC)
    guard kvm >= 0 else { return "does not open: \(errno)" }
    defer { close(kvm) }
    let version = ioctl(kvm, 0xAE00, 0 as CInt)
    let synic = ioctl(kvm, 0xAE03, 148 as CInt)
    let events = ioctl(kvm, 0xAE03, 154 as CInt)
    let machine = ioctl(kvm, 0xAE01, 0 as CInt)
    let processor = machine >= 0 ? ioctl(machine, 0xAE41, 0 as CInt) : -1
    defer {
      if processor >= 0 { close(processor) }
      if machine >= 0 { close(machine) }
    }
    return "version \(version), synic2 \(synic), eventfd \(events), processor \(processor >= 0)"
  }

  private static func text(_ path: String) -> String {
    guard let file = unsafe fopen(path, "r") else { return "no \(path)\n" }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  /// FNV-1a over exactly the file's bytes.
  private func checksum(_ file: InnerOrders.File) -> String {
    let descriptor = unsafe open(file.path, O_RDONLY)
    guard descriptor >= 0 else { return "does not open" }
    defer { close(descriptor) }
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    var left = Int(file.byteCount)
    var chunk = [UInt8](repeating: 0, count: 65536)
    while left > 0 {
      let count = unsafe read(descriptor, &chunk, min(left, chunk.count))
      guard count > 0 else { return "ends \(left) bytes early" }
      for byte in chunk[..<count] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
      left -= count
    }
    return String(hash, radix: 16)
  }

  private func copyInput() {
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = unsafe read(0, &chunk, chunk.count)
      guard count > 0 else { return }
      var done = 0
      while done < count {
        let written = unsafe chunk.withUnsafeBytes { unsafe write(1, $0.baseAddress! + done, count - done) }
        guard written > 0 else { return }
        done += written
      }
    }
  }

  private func flood(_ bytes: Int) {
    let line = Array((String(repeating: "x", count: 63) + "\n").utf8)
    for _ in 0..<bytes / 64 { _ = unsafe line.withUnsafeBytes { unsafe write(1, $0.baseAddress, 64) } }
  }

  /// Echoes on the control socket: each connection until its end, three at most at a time, until one sends "quit".
  private func serve() {
    let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) {
      unsafe $0.copyBytes(from: InnerMachine.controlSocket.utf8)
    }
    _ = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    listen(listener, 16)
    print("serving")
    fflush(nil)
    var clients: [Int32] = []
    while true {
      var entries = ([listener] + clients).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      _ = unsafe poll(&entries, nfds_t(entries.count), -1)
      if entries[0].revents != 0 { clients.append(accept(listener, nil, nil)) }
      for entry in entries.dropFirst() where entry.revents != 0 {
        var chunk = [UInt8](repeating: 0, count: 65536)
        let count = unsafe read(entry.fd, &chunk, chunk.count)
        if count == 4 && chunk.starts(with: Array("quit".utf8)) { return }
        if count > 0 {
          var done = 0
          while done < count {
            let written = unsafe chunk.withUnsafeBytes { unsafe write(entry.fd, $0.baseAddress! + done, count - done) }
            if written <= 0 { break }
            done += written
          }
        } else {
          close(entry.fd)
          clients.removeAll { $0 == entry.fd }
        }
      }
    }
  }

  /// Waits for one signal and names it.
  private func waitForSignal() {
    // Any thread may get it, so a handler, which says its word with what a handler may call.
    for number in [SIGINT, SIGTERM, SIGHUP] {
      signal(number) { number in
        unsafe received = number
      }
    }
    print("waiting")
    fflush(nil)
    while unsafe received == 0 { usleep(10_000) }
    print("signal \(unsafe received)")
  }

  /// Crashes the inner kernel.
  private func panic() {
    let file = unsafe open("/proc/sysrq-trigger", O_WRONLY)
    _ = unsafe write(file, "c", 1)
    sleep(60)
  }
}

/// The signal that came; written by the handler only.
nonisolated(unsafe) private var received: Int32 = 0
