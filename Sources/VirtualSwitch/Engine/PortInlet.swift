// SPDX-License-Identifier: Apache-2.0

/// What a driver reads goes into the switch.
final class PortInlet: DriverInlet {
  private let sender: (any FrameSender)?
  init(_ sender: (any FrameSender)?) { self.sender = sender }
  func take(_ frame: FrameView) { sender?.send(frame) }
  func flush() { sender?.flush() }
}
