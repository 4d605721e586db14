// SPDX-License-Identifier: Apache-2.0

/// A port of a switch in this process.
final class EnginePort: SwitchConnection {
  let name: String
  let port: PortID
  private let generation: UInt64
  private let engine: SwitchEngine

  init(name: String, port: PortID, generation: UInt64, engine: SwitchEngine) {
    self.name = name
    self.port = port
    self.generation = generation
    self.engine = engine
  }

  /// The defaults once it is disconnected.
  var settings: PortSettings { engine.settings(of: port, generation) ?? PortSettings() }
  var isUp: Bool { engine.isUp(port, generation) }

  func makeSender() -> any FrameSender { Sender(engine, port, generation) }
  func set(_ settings: PortSettings) throws(SwitchError) { try engine.set(settings, at: port, generation) }
  func set(_ capabilities: PortCapabilities) { engine.set(capabilities, at: port, generation) }
  func setLink(up: Bool) { engine.setLink(up: up, at: port, generation) }
  func disconnect() { engine.disconnect(port, generation) }

  private final class Sender: FrameSender {
    private let engine: SwitchEngine
    private let port: PortID
    private let generation: UInt64
    private let reader: SwitchEngine.Senders.Reader
    private let fallback = OffloadFallback()

    init(_ engine: SwitchEngine, _ port: PortID, _ generation: UInt64) {
      self.engine = engine
      self.port = port
      self.generation = generation
      reader = engine.makeSender()
    }

    deinit { reader.leave() }

    func send(_ frame: FrameView) -> Bool { engine.send(frame, from: port, generation, by: reader, fallback) }
    func flush() { engine.endBurst(by: reader) }
  }
}
