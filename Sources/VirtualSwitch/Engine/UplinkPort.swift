// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A driver as a port of the engine.
final class UplinkPort: SwitchPortSink, DriverReceiver {
  let driver: any FrameDriver
  private let port = Mutex<EnginePort?>(nil)
  private let lastReason = Mutex("")

  init(_ driver: any FrameDriver) { self.driver = driver }

  func connected(_ port: EnginePort) { self.port.withLock { $0 = port } }

  func accept(_ frame: FrameView, from sender: Int) -> Bool { driver.transmit(frame) }
  func endBurst(from sender: Int) {}
  func makeInlet() -> any DriverInlet { PortInlet(port.withLock { $0 }?.makeSender()) }

  func linkChanged(up: Bool, _ reason: String) { port.withLock { $0 }?.setLink(up: up) }
}
