// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization

/// The port socket of a switch: other processes attach to it. A thread accepts, and each connection has its own.
final class PortListener: Sendable {
  private let engine: SwitchEngine
  private let path: String
  private let listener: Descriptor
  private let wake: EventDescriptor
  private let stopping = Atomic(false)
  private let thread = Mutex<DedicatedThread?>(nil)
  private let connections = Mutex<[DriverRunner]>([])

  /// Some more than there are ports: those that are about to be refused.
  private static let maximumConnections = Switch.maximumPorts + 16

  init(_ engine: SwitchEngine, at path: String) throws(SwitchError) {
    self.engine = engine
    self.path = path
    let number = unsafe clinux_messages_listen(path)
    guard number >= 0 else { throw .system(SystemError("listen", path, error: -number)) }
    listener = Descriptor(owning: number)
    do throws(SystemError) {
      wake = try EventDescriptor()
      let thread = try DedicatedThread(name: "ports") { self.accept() }
      self.thread.withLock { $0 = thread }
    } catch {
      _ = unsafe unlink(path)
      throw .system(error)
    }
  }

  func stop() {
    guard !stopping.exchange(true, ordering: .acquiringAndReleasing) else { return }
    wake.signal()
    thread.withLock { $0 }?.join()
    _ = unsafe unlink(path)
    for connection in connections.withLock({ $0 }) { connection.stop() }
  }

  private func accept() {
    var entries = [
      pollfd(fd: listener.number, events: Int16(POLLIN), revents: 0),
      pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0),
    ]
    while !stopping.load(ordering: .acquiring) {
      _ = Stream.poll(&entries, milliseconds: 1000)
      // Those that ended are joined here, within a second.
      let ended = connections.withLock { connections in
        let ended = connections.filter(\.isOver)
        connections.removeAll(where: \.isOver)
        return ended
      }
      for connection in ended { connection.stop() }
      guard entries[0].revents != 0 else { continue }
      let number = clinux_messages_accept(listener.number)
      guard number >= 0 else {
        // Out of descriptors, perhaps: the connection waits in the queue.
        if number != -EAGAIN { usleep(100_000) }
        continue
      }
      serve(number)
    }
  }

  private func serve(_ number: Int32) {
    let user = clinux_peer_user(number)
    let isFull = connections.withLock { $0.count >= Self.maximumConnections }
    guard user == 0 || user == Int(geteuid()), !isFull else {
      Glibc.close(number)
      return
    }
    let driver = AcceptedDriver(engine, number)
    guard let runner = try? DriverRunner("port", driver, driver), (try? runner.start(waits: false)) != nil else {
      return
    }
    connections.withLock { $0.append(runner) }
  }
}
