// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import Testing

@testable import SoftwareMachine

/// The outer loop with a process that is no QEMU, and an inner end in this process.
@Suite struct OuterLoopTests {
  /// Kicks every millisecond, dead after 100 of them.
  private static let rhythm = Rhythm(kick: 1_000_000, ticksPerTime: 5, ticksToDeath: 100)

  /// Runs the loop; `inner` is the other end of the link, on a thread of its own, until it returns.
  private func run(
    _ inner: @escaping @Sendable (inout LinkPump) -> Void
  ) throws -> (result: Result<Int32, SoftwareMachineError>, kicks: Int) {
    let port = try Descriptor.socketPair()
    let serial = try Descriptor.socketPair()
    let messages = try Descriptor.pipe()
    let null = try Descriptor.open("/dev/null", O_RDWR)
    let process = try ChildProcess("/bin/sleep", ["1000"], descriptors: [null.number, null.number, null.number])
    let machine = RunningMachine(
      process: process, port: port.first, serial: serial.first, messages: messages.first,
      networks: try NetworkStreams())
    var pump = LinkPump(role: .outer, port: machine.port.number)
    pump.link.sendStart(
      StartRecord(ordersLength: 0, wallClock: 1, seed: [UInt8](repeating: 7, count: StartRecord.seedSize), files: []),
      orders: [])
    let innerPort = port.second.number
    let work = ThreadedWork {
      var pump = LinkPump(role: .inner, port: innerPort)
      inner(&pump)
    }
    var loop = OuterLoop(
      pump: pump, machine: machine, listener: -1, interrupts: try Interrupts(), rhythm: Self.rhythm)
    let result = loop.run()
    work.join()
    Stream.setNonblocking(serial.second.number)
    var kicks: [UInt8] = []
    while case .bytes = Stream.read(serial.second.number, into: &kicks, limit: 4096) {}
    return (result, kicks.count)
  }

  private static func turn(_ pump: inout LinkPump) {
    var entries: [pollfd] = []
    pump.prepare(&entries)
    _ = Stream.poll(&entries, milliseconds: 2)
    var events: [Link.Event] = []
    try? pump.process(entries, events: &events)
  }

  @Test func anInnerLinuxThatIsSilentCountsAsDead() throws {
    let (result, kicks) = try run { _ in }
    guard case .failure(.innerLinux(let reason)) = result else {
      Issue.record("\(result)")
      return
    }
    #expect(reason.contains("has not answered for a minute"))
    #expect(kicks >= 100)
  }

  @Test func anInnerLinuxThatAnswersLives() throws {
    let (result, kicks) = try run { pump in
      let end = Clock.monotonic() &+ Clock.second
      while Clock.monotonic() < end { Self.turn(&pump) }
      pump.link.sendExit(code: 7)
      Self.turn(&pump)
    }
    #expect(try result.get() == 7)
    #expect(kicks > 200)
  }

  @Test func anInnerLinuxThatFallsSilentLaterIsDeadThen() throws {
    let (result, kicks) = try run { pump in
      let end = Clock.monotonic() &+ Clock.second / 2
      while Clock.monotonic() < end { Self.turn(&pump) }
    }
    #expect(throws: SoftwareMachineError.self) { try result.get() }
    #expect(kicks > 200)
  }

  @Test func aQEMUThatEndsIsNamed() throws {
    let port = try Descriptor.socketPair()
    let serial = try Descriptor.socketPair()
    let messages = try Descriptor.pipe()
    let null = try Descriptor.open("/dev/null", O_RDWR)
    let process = try ChildProcess(
      "/bin/sh", ["-c", "echo qemu: no such luck >&2"],
      descriptors: [null.number, messages.second.number, messages.second.number])
    let machine = RunningMachine(
      process: process, port: port.first, serial: serial.first, messages: messages.first,
      networks: try NetworkStreams())
    let pump = LinkPump(role: .outer, port: machine.port.number)
    var loop = OuterLoop(pump: pump, machine: machine, listener: -1, interrupts: try Interrupts())
    #expect(throws: SoftwareMachineError.qemu("qemu: no such luck")) { try loop.run().get() }
  }
}

@Suite struct ChildProcessTests {
  /// dpkg-deb unpacks in processes of its own, which outlived an interrupted preparation.
  @Test func aKilledProcessTakesItsChildrenAlong() throws {
    let null = try Descriptor.open("/dev/null", O_RDWR)
    let pipe = try Descriptor.pipe()
    let process = try ChildProcess(
      "/bin/sh", ["-c", "sleep 1000 & echo started; wait"],
      descriptors: [null.number, pipe.second.number, null.number])
    let writeEnd = pipe.second
    var bytes: [UInt8] = []
    while bytes.count < 8 { _ = Stream.read(pipe.first.number, into: &bytes, limit: 8) }
    process.killAndWait()
    _ = consume writeEnd
    // Nobody holds the other end any more.
    var entries = [pollfd(fd: pipe.first.number, events: Int16(POLLIN), revents: 0)]
    #expect(Stream.poll(&entries, milliseconds: 5000))
    #expect(Int32(entries[0].revents) & POLLHUP != 0)
  }
}

/// A thread that can be waited for.
private final class ThreadedWork: Sendable {
  private let thread: pthread_t

  init(_ work: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
      let work: @Sendable () -> Void
      init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }
    var thread = pthread_t()
    unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        unsafe Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().work()
        return nil
      }, unsafe Unmanaged.passRetained(Box(work)).toOpaque())
    self.thread = thread
  }

  func join() { pthread_join(thread, nil) }
}
