// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// What the outer program's loop does by the clock.
struct Rhythm {
  /// QEMU up to 10.1 changes a processor's word of pending interrupts at VMRUN and VMEXIT without a lock: an interrupt
  /// that another thread raises in that moment is lost, and the inner Linux, which stops its tick when it is idle, may
  /// sleep for ever. Any later interrupt makes the processor look again, so one comes from the serial line this often.
  var kick: UInt64 = 100_000_000
  /// The wall clock goes in this often, in kicks; the answer shows that the inner machine lives.
  var ticksPerTime = 20
  /// Kicks without any sign of life after which the inner machine counts as dead. Counted in our own turns, not by the
  /// clock, so that stopping and continuing this process does not look like it.
  var ticksToDeath = 600
}

/// The outer program's loop while the machine runs: one thread, from QEMU's start to its end.
struct OuterLoop: ~Copyable {
  private var pump: LinkPump
  private let machine: RunningMachine
  private let listener: Int32
  private let interrupts: Interrupts
  private let images: FileServer?
  private let clientRequest: (@Sendable (ClientRequest) -> Void)?
  private var log = InnerLog()
  private var errors: [UInt8] = []
  private var result: Result<Int32, SoftwareMachineError>?
  private var signals = 0
  private var lastSignal: Int32 = 0

  private let rhythm: Rhythm
  /// Told why nothing more can be written to the output.
  private let lost: (Int32) -> Void

  init(
    pump: consuming LinkPump, machine: consuming RunningMachine, listener: Int32, interrupts: Interrupts,
    images: FileServer? = nil, clientRequest: (@Sendable (ClientRequest) -> Void)? = nil, rhythm: Rhythm = Rhythm(),
    lost: @escaping (Int32) -> Void = { _ in }
  ) {
    self.pump = pump
    self.machine = machine
    self.listener = listener
    self.interrupts = interrupts
    self.images = images
    self.clientRequest = clientRequest
    self.rhythm = rhythm
    self.lost = lost
    Stream.setNonblocking(self.machine.serial.number)
    Stream.setNonblocking(self.machine.messages.number)
  }

  mutating func run() -> Result<Int32, SoftwareMachineError> {
    defer {
      machine.process.killAndWait()
      pump.closeAll()
    }
    pump.writePort()
    var nextKick = Clock.monotonic() &+ rhythm.kick
    var ticks = 0
    var silent = 0
    while true {
      var entries = [
        pollfd(fd: machine.process.ended.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: machine.serial.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: machine.messages.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: interrupts.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: pump.link.canOpen ? listener : -1, events: Int16(POLLIN), revents: 0),
        pollfd(fd: images?.failed.number ?? -1, events: Int16(POLLIN), revents: 0),
      ]
      pump.prepare(&entries)
      let now = Clock.monotonic()
      let wait = nextKick > now ? Int32((nextKick &- now) / 1_000_000 &+ 1) : 0
      _ = Stream.poll(&entries, milliseconds: wait)

      if entries[1].revents != 0 { readSerial() }
      if entries[2].revents != 0 { readMessages() }
      if entries[3].revents != 0 { forwardSignals() }
      if entries[4].revents != 0 { accept() }
      if entries[5].revents != 0, let failure = images?.failure { return .failure(.innerLinux("\(failure)")) }
      var events: [Link.Event] = []
      do {
        try pump.process(entries, events: &events)
      } catch {
        result = .failure(.innerLinux("\(error)"))
      }
      if let error = pump.lostOutput.take() { lost(error) }
      if !events.isEmpty || entries[6].revents != 0 { silent = 0 }
      for event in events { handle(event) }
      if let result, !pump.hasPending { return result }
      if entries[0].revents != 0 {
        readSerial()
        readMessages()
        return result ?? .failure(deathOfQEMU())
      }
      if signals > 2 { return result ?? .failure(.interrupted(signal: lastSignal)) }

      if Clock.monotonic() >= nextKick {
        nextKick = Clock.monotonic() &+ rhythm.kick
        _ = Stream.write(machine.serial.number, [UInt8(ascii: "\n")])
        ticks += 1
        silent += 1
        if ticks % rhythm.ticksPerTime == 0 { pump.link.sendTime(Clock.wall()) }
        if silent > rhythm.ticksToDeath {
          return .failure(.innerLinux("it has not answered for a minute; \(log.tail)"))
        }
      }
    }
  }

  private mutating func handle(_ event: Link.Event) {
    switch event {
    case .exited(let code): result = result ?? .success(code)
    case .crashed(let signal): result = result ?? .failure(.innerCrash(signal: signal))
    case .failure(let reason): result = result ?? .failure(.innerLinux(reason))
    default: break
    }
  }

  private mutating func readSerial() {
    var bytes: [UInt8] = []
    while case .bytes = Stream.read(machine.serial.number, into: &bytes, limit: 65536) {}
    for finding in log.append(bytes[...]) {
      switch finding {
      case .ready: break
      case .failed(let reason): result = result ?? .failure(.innerLinux(reason))
      case .panic(let line): result = result ?? .failure(.innerLinux("\(line); \(log.tail)"))
      }
    }
  }

  private mutating func readMessages() {
    while case .bytes = Stream.read(machine.messages.number, into: &errors, limit: 4096) {}
    if errors.count > 4096 { errors.removeSubrange(..<(errors.count - 4096)) }
  }

  /// The first two signals go to the inner program, which does with them what it does natively; a third ends all.
  private mutating func forwardSignals() {
    while let signal = interrupts.pending() {
      signals += 1
      lastSignal = signal
      pump.link.sendSignal(signal)
    }
  }

  private mutating func accept() {
    let descriptor = Glibc.accept(listener, nil, nil)
    guard descriptor >= 0 else { return }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    guard let stream = pump.link.openConnection() else {
      close(descriptor)
      return
    }
    guard let clientRequest else { return pump.attach(socket: descriptor, to: stream) }
    var watch = RequestWatch()
    pump.attach(socket: descriptor, to: stream) { watch.receive($0, clientRequest) }
  }

  private func deathOfQEMU() -> SoftwareMachineError {
    let text = String(decoding: errors, as: UTF8.self).split(separator: "\n").suffix(4).joined(separator: "; ")
    return .qemu(text.isEmpty ? "it ended by itself; the inner Linux: \(log.tail)" : text)
  }
}
