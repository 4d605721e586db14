// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Synchronization

/// One connection of a switch's port socket, seen from the switch: the peer asks for a port, then sends and gets frames.
/// It is the engine's sink for that port.
final class AcceptedDriver: FrameDriver, DriverReceiver, SwitchPortSink {
  private let engine: SwitchEngine
  private let socket = MessageSocket()
  private let number: Int32
  private let port = Mutex<EnginePort?>(nil)
  /// Messages that were no frames and no requests.
  private let malformed = Mutex(0)

  /// Takes the connected socket.
  init(_ engine: SwitchEngine, _ number: Int32) {
    self.engine = engine
    self.number = number
    socket.open(number)
  }

  deinit { socket.close() }

  var detail: String { "process" }
  var capabilities: PortCapabilities { .none }
  var comesBack: Bool { false }

  /// A peer that says nothing for this long loses its place.
  private static let patience: Int32 = 3000
  private static let tolerated = 16

  func open() throws(SwitchError) -> [Int32] {
    do throws(SwitchError) {
      guard case .request(let request) = socket.answer(within: Self.patience) else { throw .closed }
      let connected = try engine.connect(
        request.name, request.settings, kind: .remote, detail: "user \(clinux_peer_user(number))",
        capabilities: request.capabilities, sink: self)
      port.withLock { $0 = connected }
      guard socket.send(RemoteMessage.answer(nil)) else { throw .closed }
    } catch {
      if error != .closed { _ = socket.send(RemoteMessage.answer(Self.text(error))) }
      close()
      throw error
    }
    return [number]
  }

  private static func text(_ error: SwitchError) -> String {
    "\(error)" + (error.remedy.map { "; \($0)" } ?? "")
  }

  func close() {
    port.withLock { $0 }?.disconnect()
    socket.close()
  }

  func receive(
    queue: Int, into room: UnsafeMutableRawBufferPointer, carried: inout Int, _ take: (FrameView) -> Void
  ) -> ReceiveOutcome {
    for _ in 0..<DriverRunner.burst {
      switch unsafe socket.receive(into: room) {
      case .content(.frame(let tag, let offloads), let bytes):
        unsafe FrameView.over(bytes, tag: tag, offloads: offloads, take)
      case .content(.request(let request), _):
        guard socket.send(RemoteMessage.answer(change(request))) else { return .gone("it does not listen") }
      case .content(.answer, _), .malformed:
        let count = malformed.withLock { count in
          count += 1
          return count
        }
        if count > Self.tolerated { return .gone("it does not keep to the protocol") }
      case .nothing: return .empty
      case .gone(let reason): return .gone(reason)
      }
    }
    return .more
  }

  /// `nil`: done.
  private func change(_ request: PortRequest) -> String? {
    guard let port = port.withLock({ $0 }) else { return "the port is disconnected" }
    do throws(SwitchError) {
      guard request.name == port.name else { throw .refused("a port keeps its name") }
      try port.set(request.settings)
      port.set(request.capabilities)
      return nil
    } catch {
      return Self.text(error)
    }
  }

  func transmit(_ frame: FrameView) -> Bool { socket.send(frame) }

  // MARK: The engine's end

  func accept(_ frame: FrameView, from sender: Int) -> Bool { socket.send(frame) }
  func endBurst(from sender: Int) {}
  func linkChanged(up: Bool, _ reason: String) {}

  func makeInlet() -> any DriverInlet { PortInlet(port.withLock { $0 }?.makeSender()) }
}
