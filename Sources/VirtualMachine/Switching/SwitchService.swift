// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import Glibc
import Synchronization
public import VirtualSwitch

/// A virtual switch in a process of its own, from its making to its end.
public final class SwitchService: SwitchControl {
  private let name: MachineName
  private let kind: SwitchDescription.Kind
  private let uplink: String?
  private let mtu: Int
  private let portSocket: String
  private let engine: SwitchEngine
  private let ending = Mutex<(isOver: Bool, waiting: CheckedContinuation<Void, Never>?)>((false, nil))

  /// The name of the port that leads out.
  public static let uplinkPort = "uplink"

  /// Makes the switch with its way out, and lets machines attach at `portSocket`. Nothing is left when it throws.
  public init(
    _ name: MachineName, kind: SwitchDescription.Kind, uplink: Uplink?, mtu: Int, portSocket: String
  ) throws(ControlError) {
    self.name = name
    self.kind = kind
    self.mtu = mtu
    self.portSocket = portSocket
    let engine = SwitchEngine(name: name.text)
    self.engine = engine
    do throws(SwitchError) {
      if let uplink {
        try engine.add(uplink, named: Self.uplinkPort, .uplink(maximumPayload: mtu))
      } else {
        try PortSettings(maximumPayload: mtu).check()
      }
      try engine.listen(at: portSocket)
      self.uplink = uplink == nil ? nil : engine.ports().first?.detail
    } catch {
      engine.stop()
      throw ControlError(error)
    }
  }

  /// Returns when the switch was removed.
  public func waitForEnd() async {
    await withCheckedContinuation { continuation in
      let isOver = ending.withLock { ending in
        if !ending.isOver { ending.waiting = continuation }
        return ending.isOver
      }
      if isOver { continuation.resume() }
    }
  }

  public func end() {
    let waiting = ending.withLock { ending in
      defer { ending = (true, nil) }
      return ending.waiting
    }
    waiting?.resume()
  }

  /// Ends its threads; ports and ways out go away.
  public func stop() { engine.stop() }

  // MARK: Control

  public func describe() throws(ControlError) -> SwitchDescription {
    let ports = engine.ports()
    return SwitchDescription(
      name: name.text, kind: kind, uplink: uplink, mtu: mtu, portSocket: portSocket, processId: Int(getpid()),
      ports: ports.map(Self.describe), addressCount: ports.reduce(0) { $0 + $1.addresses.count },
      captures: engine.captures.map(Self.describe))
  }

  public func updatePort(
    _ name: String, _ update: SwitchPortUpdate
  ) throws(ControlError) -> SwitchPortDescription {
    guard var settings = engine.ports().first(where: { $0.name == name })?.settings else {
      throw ControlError(SwitchError.noSuchPort(name))
    }
    if let vlan = update.vlan { settings.vlan = try vlan.vlanMode() }
    settings.allowsSpoofing = update.allowSpoofing ?? settings.allowsSpoofing
    settings.isIsolated = update.isolated ?? settings.isIsolated
    settings.guardsRouters = update.routerGuard ?? settings.guardsRouters
    settings.guardsDHCP = update.dhcpGuard ?? settings.guardsDHCP
    do throws(SwitchError) { try engine.set(settings, at: name) } catch { throw ControlError(error) }
    guard let port = engine.ports().first(where: { $0.name == name }) else {
      throw ControlError(SwitchError.noSuchPort(name))
    }
    return Self.describe(port)
  }

  public func startCapture(_ request: SwitchCaptureRequest) throws(ControlError) -> SwitchCapture {
    do throws(SwitchError) {
      try engine.startCapture(
        to: request.path, ports: request.ports, snapLength: request.snapLength ?? PacketCapture.defaultSnapLength)
    } catch {
      throw ControlError(error)
    }
    return SwitchCapture(path: request.path, frames: 0, leftOut: 0)
  }

  public func stopCapture(_ path: String) throws(ControlError) -> SwitchCapture {
    guard engine.captures.contains(where: { $0.path == path }) else {
      throw ControlError(.notFound, "no capture to \(path) runs")
    }
    do throws(SwitchError) { return Self.describe(try engine.stopCapture(path)) } catch { throw ControlError(error) }
  }

  public func remove(force: Bool) throws(ControlError) {
    let attached = engine.ports().filter { $0.kind == .remote }.map(\.name)
    guard force || attached.isEmpty else {
      throw ControlError(
        .wrongState, "the switch \(name) is in use: \(attached.joined(separator: ", "))",
        remedy: "disconnect the adapters first, or use --force")
    }
    end()
  }

  private static func describe(_ capture: CaptureReport) -> SwitchCapture {
    SwitchCapture(path: capture.path, frames: capture.frames, leftOut: capture.leftOut, failure: capture.failure)
  }

  private static func describe(_ port: PortReport) -> SwitchPortDescription {
    let counters = port.counters
    var dropped: [String: UInt64] = [:]
    for reason in DropReason.allCases where counters.dropped(reason) > 0 {
      dropped[reason.name] = counters.dropped(reason)
    }
    return SwitchPortDescription(
      name: port.name, kind: port.kind == .uplink ? .uplink : .adapter, detail: port.detail, up: port.isUp,
      vlan: PortVLAN(port.settings.vlan), macAddress: port.settings.address?.description,
      allowSpoofing: port.settings.allowsSpoofing, isolated: port.settings.isIsolated,
      routerGuard: port.settings.guardsRouters, dhcpGuard: port.settings.guardsDHCP, mtu: port.settings.maximumPayload,
      receivedFrames: counters.receivedFrames, receivedBytes: counters.receivedBytes, sentFrames: counters.sentFrames,
      sentBytes: counters.sentBytes, dropped: dropped)
  }
}
