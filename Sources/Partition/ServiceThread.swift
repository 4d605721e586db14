// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization

/// The partition's two service threads: `synic` waits for ends of messages that somebody waits for, `serial` carries the
/// console's output to its sink. Each sleeps in the kernel while there is nothing to do.
final class ServiceThread: Sendable {
  private let poll: Descriptor
  private let quit: EventDescriptor
  private let core: PartitionCore
  private let stopping = Atomic<Bool>(false)
  private let threads = Mutex<[DedicatedThread]>([])

  private static let quitMark: UInt64 = .max

  init(_ core: PartitionCore, sink: (any SerialSink)?) throws(PartitionError) {
    self.core = core
    let raw = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard raw >= 0 else { throw .system(operation: "making an epoll descriptor", errno: errno) }
    poll = Descriptor(owning: raw)
    quit = try EventDescriptor.forPartition()
    try Self.add(poll.number, quit.number, events: UInt32(EPOLLIN.rawValue), mark: Self.quitMark)
    for processor in core.synic {
      // Registered silent; armed for one event when somebody waits.
      try Self.add(poll.number, processor.endOfMessage.number, events: 0, mark: UInt64(processor.index))
    }
    let started = try DedicatedThread.forPartition(name: "synic") { [self] in watch() }
    threads.withLock { $0.append(started) }
    if let sink, let port = core.serial {
      do {
        let started = try DedicatedThread.forPartition(name: "serial") { [self] in carry(port, sink) }
        threads.withLock { $0.append(started) }
      } catch {
        stop()
        throw error
      }
    }
  }

  private static func add(_ poll: Int32, _ descriptor: Int32, events: UInt32, mark: UInt64) throws(PartitionError) {
    var event = unsafe epoll_event()
    unsafe event.events = events
    unsafe event.data.u64 = mark
    guard unsafe epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event) == 0 else {
      throw .system(operation: "watching an eventfd", errno: errno)
    }
  }

  /// Makes the next end of message on `processor` call the owner, also one that has come already.
  func watchEndOfMessage(_ processor: Int) {
    var event = unsafe epoll_event()
    unsafe event.events = UInt32(EPOLLIN.rawValue) | UInt32(EPOLLONESHOT.rawValue)
    unsafe event.data.u64 = UInt64(processor)
    _ = unsafe epoll_ctl(poll.number, EPOLL_CTL_MOD, core.synic[processor].endOfMessage.number, &event)
  }

  func stop() {
    stopping.store(true, ordering: .releasing)
    quit.signal()
    core.serial?.outputReady.signal()
    for thread in threads.withLock(\.self) { thread.join() }
  }

  private func watch() {
    var event = unsafe epoll_event()
    while !stopping.load(ordering: .acquiring) {
      let count = unsafe epoll_wait(poll.number, &event, 1, -1)
      guard count == 1, unsafe event.data.u64 < UInt64(core.synic.count) else { continue }
      let processor = core.synic[Int(unsafe event.data.u64)]
      processor.endOfMessage.drain()
      if processor.takeSlotWanted() { core.delegate.messageSlotFreed(vp: UInt32(processor.index)) }
    }
  }

  /// Collects for a moment before it writes: a console prints byte by byte, and a sink is dearer than a byte.
  private func carry(_ port: SerialPort, _ sink: any SerialSink) {
    var buffer: [UInt8] = []
    buffer.reserveCapacity(4096)
    while true {
      let stop = stopping.load(ordering: .acquiring)
      port.takeOutput(&buffer)
      if !buffer.isEmpty {
        unsafe buffer.withUnsafeBytes { unsafe sink.serialOutput($0) }
        continue
      }
      if stop { return }
      port.outputReady.wait()
      if !stopping.load(ordering: .acquiring) { usleep(2000) }
    }
  }
}
