// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import Synchronization

/// The threads of a driver: one for each queue, asleep in poll. The first one opens the driver, and again every second
/// after it ended, where it comes back.
final class DriverRunner: Sendable {
  /// Frames that are read before receivers are told.
  static let burst = 64
  /// A stream's worth of frames, and more than the largest one.
  static let roomBytes = 256 << 10

  private let driver: any FrameDriver
  private let receiver: any DriverReceiver
  private let stopping = Atomic(false)
  private let over = Atomic(false)
  private let wake: EventDescriptor
  private let opened: EventDescriptor
  private let firstError = Mutex<SwitchError?>(nil)
  private let thread = Mutex<DedicatedThread?>(nil)
  private let threadName: String
  private let patience: Int32

  /// `patience`: milliseconds between attempts to open it again.
  init(_ name: String, _ driver: any FrameDriver, _ receiver: any DriverReceiver, patience: Int32 = 1000)
    throws(SwitchError)
  {
    self.driver = driver
    self.receiver = receiver
    self.patience = patience
    threadName = name
    do throws(SystemError) {
      wake = try EventDescriptor()
      opened = try EventDescriptor(blocking: true)
    } catch {
      throw .system(error)
    }
  }

  /// `waits`: returns once the driver is open, or with what went wrong; otherwise at once.
  func start(waits: Bool = true) throws(SwitchError) {
    do throws(SystemError) {
      let thread = try DedicatedThread(name: threadName) { self.run(waits: waits) }
      self.thread.withLock { $0 = thread }
    } catch {
      throw .system(error)
    }
    guard waits else { return }
    opened.wait()
    guard let error = firstError.withLock({ $0 }) else { return }
    join()
    throw error
  }

  /// Whether its threads have ended by themselves.
  var isOver: Bool { over.load(ordering: .acquiring) }

  /// Ends the threads. When it returns nothing is received any more.
  func stop() {
    stopping.store(true, ordering: .releasing)
    wake.signal()
    join()
  }

  private func join() { thread.withLock { $0 }?.join() }

  /// Bytes wait to be written: the first thread must look for room.
  func wakeUp() { wake.signal() }

  private var isStopping: Bool { stopping.load(ordering: .acquiring) }

  // MARK: The first thread

  private func run(waits: Bool) {
    defer { over.store(true, ordering: .releasing) }
    var isFirst = true
    while !isStopping {
      do throws(SwitchError) {
        let queues = try driver.open()
        receiver.linkChanged(up: true, "")
        if isFirst { opened.signal() }
        isFirst = false
        let reason = serve(queues)
        driver.close()
        receiver.linkChanged(up: false, reason)
      } catch {
        if isFirst {
          firstError.withLock { $0 = error }
          opened.signal()
          if waits || !driver.comesBack { return }
        }
        isFirst = false
      }
      guard driver.comesBack, !isStopping else { return }
      var entries = [pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0)]
      _ = Stream.poll(&entries, milliseconds: patience)
      if !isStopping { wake.drain() }
    }
  }

  /// Until the driver ends or everything stops.
  private func serve(_ queues: [Int32]) -> String {
    let session = Session()
    var threads: [DedicatedThread] = []
    for queue in queues.indices.dropFirst() {
      let descriptor = queues[queue]
      // Without its thread a queue is not read; the kernel spreads flows over all of them, so that is the end.
      do throws(SystemError) {
        guard let end = try? EventDescriptor() else { throw SystemError("eventfd") }
        let number = session.add(end)
        threads.append(
          try DedicatedThread(name: "\(threadName)-\(queue)") {
            self.work(queue, descriptor, session, wakeNumber: number)
          })
      } catch {
        session.end("\(error)")
      }
    }
    if let first = queues.first { work(0, first, session, wakeNumber: wake.number) }
    session.end("")
    for thread in threads { thread.join() }
    return session.reason
  }

  /// Serves one queue until the session's end.
  private func work(_ queue: Int, _ descriptor: Int32, _ session: Session, wakeNumber: Int32) {
    let inlet = receiver.makeInlet()
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.roomBytes, alignment: 16)
    defer { unsafe room.deallocate() }
    var carried = 0
    var entries = [
      pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
      pollfd(fd: wakeNumber, events: Int16(POLLIN), revents: 0),
    ]
    while !isStopping, !session.hasEnded {
      entries[0].events = Int16(queue == 0 && driver.hasPending ? POLLIN | POLLOUT : POLLIN)
      _ = Stream.poll(&entries, milliseconds: -1)
      if entries[1].revents != 0, !isStopping { EventDescriptor.drain(wakeNumber) }
      if entries[0].revents & Int16(POLLOUT) != 0 { driver.writeOn() }
      guard entries[0].revents & ~Int16(POLLOUT) != 0 else { continue }
      while !isStopping {
        let outcome = unsafe driver.receive(queue: queue, into: room, carried: &carried) { inlet.take($0) }
        inlet.flush()
        if case .more = outcome { continue }
        if case .gone(let reason) = outcome { session.end(reason) }
        break
      }
    }
    if queue != 0 { wake.signal() }
  }

  /// From one opening of the driver to its end.
  private final class Session: Sendable {
    private struct Ends: ~Copyable {
      var events: [Int32] = []
      var reason: String?
    }
    private let ends = Mutex(Ends())
    private let ended = Atomic(false)

    var hasEnded: Bool { ended.load(ordering: .acquiring) }
    var reason: String { ends.withLock { $0.reason ?? "" } }

    /// Gives the descriptor to the session; it wakes its thread.
    func add(_ event: consuming EventDescriptor) -> Int32 {
      let number = dup(event.number)
      ends.withLock { $0.events.append(number) }
      return number
    }

    /// The first reason counts.
    func end(_ reason: String) {
      ends.withLock { ends in
        if ends.reason == nil { ends.reason = reason }
        ended.store(true, ordering: .releasing)
        for number in ends.events { EventDescriptor.signal(number) }
      }
    }

    deinit {
      ends.withLock { ends in
        for number in ends.events { Glibc.close(number) }
      }
    }
  }
}
