// SPDX-License-Identifier: Apache-2.0

@_spi(Fuzzing) import VirtualSwitch

/// Frames of any kind through a switch whose ports come, change and go; and what other processes say on its sockets.
enum SwitchTarget {
  /// Looks at what arrives: it must be a frame that this receiver can take.
  private final class Sink: SwitchPortSink {
    let takesTags: Bool
    let takesOffloads: Bool

    init(takesTags: Bool, takesOffloads: Bool) {
      self.takesTags = takesTags
      self.takesOffloads = takesOffloads
    }

    func accept(_ frame: FrameView, from sender: Int) -> Bool {
      let bytes = frame.bytes
      precondition(bytes.count == frame.byteCount && bytes.count >= 14, "a frame that is none")
      precondition(takesTags || frame.tag == nil, "a tag beside the frame for somebody who takes none")
      if !takesOffloads {
        precondition(!frame.offloads.isSegmented, "a large frame for somebody who takes none")
        if case .needed = frame.offloads.checksum { preconditionFailure("an unfinished checksum") }
      }
      precondition(frame.offloads.fits(bytes.count), "offloads that do not fit")
      return bytes[0] & 2 == 0
    }

    func endBurst(from sender: Int) {}
  }

  private static func settings(_ script: inout Script) -> PortSettings {
    let id = VLANID(rawValue: script.mostly(UInt16(1 + script.choice(3))))
    let vlan: VLANMode
    switch script.choice(3) {
    case 0: vlan = .untagged
    case 1: vlan = .access(id)
    default: vlan = .trunk(allowed: VLANSet([id, VLANID(rawValue: 2)]), native: script.oneIn(2) ? .none : id)
    }
    return PortSettings(
      vlan: vlan, address: script.oneIn(2) ? address(&script) : nil, allowsSpoofing: script.oneIn(2),
      isIsolated: script.oneIn(3), guardsRouters: script.oneIn(2), guardsDHCP: script.oneIn(2),
      maximumPayload: script.oneIn(4) ? 9000 : 1500)
  }

  private static func address(_ script: inout Script) -> MACAddress {
    script.oneIn(8)
      ? MACAddress(rawValue: script.word64()) : MACAddress(rawValue: 0x0200_0000_0000 | UInt64(script.choice(8)))
  }

  static func run(_ script: inout Script) {
    let engine = SwitchEngine(name: "fuzz")
    var ports: [(port: any SwitchConnection, sender: any FrameSender)] = []
    while !script.isEmpty {
      switch script.choice(16) {
      case 0...1:
        guard ports.count < 8 else { break }
        let sink = Sink(takesTags: script.oneIn(2), takesOffloads: script.oneIn(2))
        let capabilities = PortCapabilities(
          tagsOutOfBand: sink.takesTags, unfinishedChecksums: sink.takesOffloads,
          tcp4Segmentation: sink.takesOffloads, tcp6Segmentation: sink.takesOffloads,
          udpSegmentation: sink.takesOffloads)
        let name = "port\(script.choice(10))"
        guard let port = try? engine.connect(name, settings(&script), capabilities: capabilities, sink: sink) else {
          break
        }
        ports.append((port, port.makeSender()))
      case 2: if !ports.isEmpty { ports.remove(at: script.choice(ports.count)).port.disconnect() }
      case 3: if !ports.isEmpty { try? ports[script.choice(ports.count)].port.set(settings(&script)) }
      case 4: PeerBytes.read(script.take(script.choice(256) * 3))
      default: if !ports.isEmpty { send(ports[script.choice(ports.count)].sender, &script) }
      }
    }
    for port in ports { port.port.disconnect() }
    engine.stop()
  }

  private static func send(_ sender: any FrameSender, _ script: inout Script) {
    var frame: [UInt8] = []
    for address in [script.oneIn(4) ? .broadcast : address(&script), address(&script)] as [MACAddress] {
      for shift in stride(from: 40, through: 0, by: -8) {
        frame.append(UInt8(truncatingIfNeeded: address.rawValue >> UInt64(shift)))
      }
    }
    for _ in 0..<script.choice(3) { frame += [0x81, 0, 0, UInt8(script.choice(4))] }
    frame +=
      [[0x08, 0x00], [0x86, 0xdd], [0x81, 0x00], [0x88, 0xa8]][script.choice(4)] + script.take(script.choice(128))
    if script.oneIn(3) { frame += [UInt8](repeating: script.byte(), count: script.choice(256) * 40) }
    var offloads = FrameOffloads()
    if script.oneIn(2) { offloads.checksum = .needed(start: script.mostly(34), offset: script.mostly(16)) }
    if script.oneIn(2) {
      offloads.segmentation = [.tcp4(ecn: false), .tcp6(ecn: true), .udp, .udpFragments][script.choice(4)]
      offloads.segmentSize = script.mostly(1448)
      offloads.headerLength = script.mostly(54)
    }
    let tag = script.oneIn(4) ? VLANTag(rawValue: script.mostly(UInt16(script.choice(4)))) : nil
    FrameView.with(frame, tag: tag, offloads: offloads) { _ = sender.send($0) }
    sender.flush()
  }
}
