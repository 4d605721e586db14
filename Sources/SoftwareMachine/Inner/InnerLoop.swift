// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

/// Process 1's loop: the link on one side, the worker and its control API on the other. One thread.
struct InnerLoop: ~Copyable {
  private var pump: LinkPump
  private let worker: ChildProcess
  private let ends: InnerInit.Ends
  /// Connections whose target does not listen yet, with the turns that they may still wait.
  private var waiting: [StreamID: Int] = [:]
  /// How the worker ended, once it has or has said it.
  private var status: ChildProcess.End?
  private var reported = false
  private var newsEnded = false

  private static let connectTurns = 400
  private static let patience: Int32 = 50  // ms

  init(port: Int32, worker: consuming ChildProcess, ends: InnerInit.Ends) {
    pump = LinkPump(role: .inner, port: port)
    pump.attach(writer: ends.input, to: .input, owned: true)
    pump.attach(reader: ends.output, to: .output, owned: true)
    pump.attach(reader: ends.error, to: .error, owned: true)
    self.worker = worker
    self.ends = ends
  }

  /// Process 1 never ends: it is ended, with the machine.
  let isOver = false

  /// Waits for something to happen and does it.
  mutating func turn() {
    let isAwaited = status == nil
    var entries = [
      pollfd(fd: isAwaited ? worker.ended.number : -1, events: Int16(POLLIN), revents: 0),
      pollfd(fd: isAwaited && !newsEnded ? ends.news : -1, events: Int16(POLLIN), revents: 0),
    ]
    pump.prepare(&entries)
    let isBusy = !waiting.isEmpty || (status != nil && !reported)
    _ = Stream.poll(&entries, milliseconds: isBusy ? Self.patience : -1)
    var events: [Link.Event] = []
    do {
      try pump.process(entries, events: &events)
    } catch {
      InnerInit.fail("\(error)")
    }
    for event in events { handle(event) }
    if entries[1].revents != 0 { readNews() }
    if entries[0].revents != 0, status == nil { collect() }
    for stream in Array(waiting.keys) { connect(stream) }
    reportEnd()
  }

  private mutating func handle(_ event: Link.Event) {
    switch event {
    case .started(let record, let orders):
      do {
        setClock(record.wallClock)
        seed(record.seed)
        try bindDisks(record.files.count)
        try Stream.writeAll(ends.orders, Worker.encode(record, orders: orders))
        close(ends.orders)
      } catch {
        pump.link.sendFailure("\(error)")
      }
    case .opened(let stream): waiting[stream] = Self.connectTurns
    case .signal(let number): if status == nil { _ = kill(worker.identifier, number) }
    case .time(let wallClock): correctClock(wallClock)
    default: break
    }
  }

  // MARK: - After the restore

  private func setClock(_ wallClock: UInt64) {
    var time = timespec(tv_sec: Int(wallClock / 1_000_000_000), tv_nsec: Int(wallClock % 1_000_000_000))
    _ = unsafe clock_settime(CLOCK_REALTIME, &time)
  }

  /// Small differences are the way of the message; more is a clock that was set or a machine that was stopped.
  private func correctClock(_ wallClock: UInt64) {
    let here = Clock.wall()
    let difference = here > wallClock ? here &- wallClock : wallClock &- here
    if difference > 100_000_000 { setClock(wallClock) }
  }

  private func seed(_ bytes: [UInt8]) {
    guard let random = try? Descriptor.open("/dev/urandom", O_RDWR) else { return }
    _ = unsafe bytes.withUnsafeBytes { unsafe clinux_add_entropy(random.number, $0.baseAddress, Int32($0.count)) }
  }

  /// Lets the disk driver look at the disks, which were empty ones when the state was saved.
  private func bindDisks(_ count: Int) throws(SystemError) {
    let driver = InnerInit.virtioDrivers + "/drivers/virtio_blk"
    let devices = Folder.names(InnerInit.virtioDrivers + "/devices").filter {
      // Device kind 2 of the virtio specification: block.
      SystemFiles.text(at: "\(InnerInit.virtioDrivers)/devices/\($0)/device")?.hasPrefix("0x0002") == true
    }
    for device in devices.prefix(count) { try SystemFiles.write(Array(device.utf8), to: driver + "/bind") }
    for index in 0..<count where unsafe access(InnerOrders.disk(index), R_OK) != 0 {
      throw SystemError("open", InnerOrders.disk(index))
    }
  }

  private mutating func connect(_ stream: StreamID) {
    let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    let connected = try? unsafe SocketAddress.with(InnerMachine.controlSocket) {
      unsafe Glibc.connect(socket, $0, $1) == 0
    }
    if connected == true {
      waiting[stream] = nil
      pump.attach(socket: socket, to: stream)
      return
    }
    close(socket)
    let left = (waiting[stream] ?? 0) - 1
    waiting[stream] = left > 0 ? left : nil
    if left <= 0 { pump.link.reset(stream) }
  }

  // MARK: - The worker's end

  private mutating func readNews() {
    var bytes: [UInt8] = []
    if case .bytes = Stream.read(ends.news, into: &bytes, limit: 4), let code = Worker.end(bytes) {
      status = .exited(code)
    } else {
      newsEnded = true
    }
  }

  private mutating func collect() {
    status = worker.wait()
  }

  /// Sends the exit once all that the worker printed has been sent.
  private mutating func reportEnd() {
    guard let status, !reported else { return }
    // A child of the worker may hold the pipes open: what is in them now is what counts.
    guard !pump.hasUnread([.output, .error]) else { return }
    reported = true
    switch status {
    case .exited(let code): pump.link.sendExit(code: code)
    case .killed(let signal): pump.link.sendCrash(signal: signal)
    }
    pump.writePort()
  }
}
