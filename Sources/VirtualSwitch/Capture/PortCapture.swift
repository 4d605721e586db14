// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A capture at ports of an engine: those with certain names, or all.
final class PortCapture: Sendable {
  let capture: PacketCapture
  private let names: Set<String>?
  private struct Interface {
    let generation: UInt64
    let number: UInt32?
  }
  /// By the port's place; a port that comes while the capture runs gets a number with its first frame.
  private let interfaces = Mutex([Interface?](repeating: nil, count: Switch.maximumPorts))

  init(_ capture: PacketCapture, _ names: Set<String>?) {
    self.capture = capture
    self.names = names
  }

  func record(_ frame: FrameView, at port: PortID, _ slot: SwitchEngine.Slot, _ direction: PacketCapture.Direction) {
    let interface = interfaces.withLock { interfaces in
      if let known = interfaces[Int(port.rawValue)], known.generation == slot.generation { return known.number }
      let isWanted = names.map { $0.contains(slot.name) } ?? true
      let number = isWanted ? capture.addInterface(slot.name) : nil
      interfaces[Int(port.rawValue)] = Interface(generation: slot.generation, number: number)
      return number
    }
    if let interface { capture.record(frame, on: interface, direction) }
  }
}
