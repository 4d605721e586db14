// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import DeviceProtocols
import ServiceProviders
import VirtualSwitch

/// Network adapters while the machine runs.
extension VirtualMachine {
  public func nics() async throws(ControlError) -> [AttachedAdapter] { attachedAdapters() }

  func attachedAdapters() -> [AttachedAdapter] { network.list().map { AttachedAdapter($0) } }

  public func addNIC(_ request: NICRequest) async throws(ControlError) -> AttachedAdapter {
    let adapter = try NetworkAdapterConfiguration(
      request, machine: configuration.name, among: network.list().map(\.configuration.name))
    let added = AttachedAdapter(try await change { [network] () throws(ControlError) in try network.add(adapter) })
    record("added", added.name, "added, connected to \(added.connection)", ["connection": added.connection])
    return added
  }

  public func removeNIC(_ name: String) async throws(ControlError) {
    try await change { [network] () throws(ControlError) in try network.remove(name) }
    record("removed", name, "removed")
  }

  public func connectNIC(
    _ name: String, _ request: NICConnectionRequest
  ) async throws(ControlError) -> AttachedAdapter {
    let (connection, forwards) = try NetworkAdapterConfiguration.connection(request)
    let now = AttachedAdapter(
      try await change { [network] () throws(ControlError) in try network.connect(name, to: connection, forwards) })
    record(
      connection == .none ? "disconnected" : "connected", name,
      connection == .none ? "disconnected" : "connected to \(connection)", ["connection": now.connection])
    return now
  }

  public func setLink(
    ofNIC name: String, _ link: AttachedAdapter.Link
  ) async throws(ControlError) -> AttachedAdapter {
    let now = AttachedAdapter(
      try await change { [network] () throws(ControlError) in try network.setLink(isUp: link == .up, of: name) })
    record("link", name, "its link is \(link.rawValue)", ["link": link.rawValue])
    return now
  }

  public func setVLAN(ofNIC name: String, _ vlan: String) async throws(ControlError) -> AttachedAdapter {
    let mode = try NetworkAdapterConfiguration.vlan(vlan)
    let now = AttachedAdapter(
      try await change { [network] () throws(ControlError) in try network.setVLAN(mode, of: name) })
    record("vlan", name, "its VLAN mode is \(now.vlan)", ["vlan": now.vlan])
    return now
  }

  public func setGuards(
    ofNIC name: String, _ request: NICGuardsRequest
  ) async throws(ControlError) -> AttachedAdapter {
    let now = AttachedAdapter(
      try await change { [network] () throws(ControlError) in try network.setGuards(request, of: name) })
    let words = [
      ("spoofing", now.spoofing), ("isolated", now.isolated), ("router-guard", now.routerGuard),
      ("dhcp-guard", now.dhcpGuard),
    ].map { "\($0) \($1 ? "yes" : "no")" }
    record("guards", name, "its guards are \(words.joined(separator: ", "))")
    return now
  }

  public func startCapture(
    ofNIC name: String, _ request: NICCaptureRequest
  ) async throws(ControlError) -> AdapterCapture {
    let capture = try await change { [network] () throws(ControlError) in
      try network.startCapture(
        of: name, to: request.path, snapLength: request.snapLength, overwrite: request.overwrite ?? false)
    }
    record("capture-started", name, "captured to \(capture.path)", ["path": capture.path])
    return capture
  }

  public func stopCapture(ofNIC name: String) async throws(ControlError) -> AdapterCapture {
    let capture = AdapterCapture(
      try await change { [network] () throws(ControlError) in try network.stopCapture(of: name) })
    record(
      "capture-stopped", name, "the capture to \(capture.path) has ended: \(capture.frames) frames",
      ["path": capture.path, "frames": "\(capture.frames)"])
    return capture
  }

  private func record(_ change: String, _ name: String, _ message: String, _ more: [String: String] = [:]) {
    events.record(
      .network, "\(name): \(message)", details: more.merging(["adapter": name, "change": change]) { $1 })
  }
}

extension AttachedAdapter {
  init(_ report: NetworkAdapterReport) {
    let configuration = report.configuration
    self.init(
      name: configuration.name, kind: configuration.isLegacy ? .legacy : .synthetic,
      mac: configuration.address.description,
      guestMAC: MACAddress(rawValue: report.guestView.address.rawValue).description,
      connection: configuration.connection.description, link: report.isLinkUp ? .up : .down,
      vlan: configuration.vlan.words, maximumMTU: configuration.maximumPayload, mtu: report.guestView.mtu,
      channels: report.channels, monitored: configuration.isMonitored, version: report.guestView.version.map(\.text),
      spoofing: configuration.allowsSpoofing, isolated: configuration.isIsolated,
      routerGuard: configuration.guardsRouters, dhcpGuard: configuration.guardsDHCP,
      forwards: configuration.forwards.map(\.description),
      counters: AdapterCounters(
        sentFrames: report.statistics.transmittedFrames, sentBytes: report.statistics.transmittedBytes,
        receivedFrames: report.statistics.receivedFrames, receivedBytes: report.statistics.receivedBytes,
        sendErrors: report.statistics.transmitErrors, receiveErrors: report.statistics.receiveErrors,
        withoutBuffer: report.statistics.withoutBuffer),
      port: report.port.map { AdapterPort($0.counters) }, capture: report.capture.map { AdapterCapture($0) })
  }
}

extension AdapterPort {
  init(_ counters: PortCounters) {
    let reasons = DropReason.allCases.filter { counters.dropped($0) > 0 }
    self.init(
      framesFromGuest: counters.receivedFrames, framesToGuest: counters.sentFrames,
      drops: Dictionary(uniqueKeysWithValues: reasons.map { ($0.name, counters.dropped($0)) }))
  }
}

extension AdapterCapture {
  init(_ report: CaptureReport) {
    self.init(path: report.path, frames: report.frames, leftOut: report.leftOut, failure: report.failure)
  }
}

extension NVSPVersion {
  /// As Microsoft counts: 6.1. The first two are numbered otherwise on the wire.
  var text: String {
    switch self {
    case .v1: "1"
    case .v2: "2"
    default: "\(rawValue >> 16)" + (rawValue & 0xffff == 0 ? "" : ".\(rawValue & 0xffff)")
    }
  }
}
