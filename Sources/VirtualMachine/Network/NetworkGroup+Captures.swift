// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import Synchronization
import VirtualSwitch

/// Captures of what passes an adapter's port, one at a time for each.
extension NetworkGroup {
  func startCapture(
    of name: String, to path: String, snapLength: Int?, overwrite: Bool
  ) throws(ControlError) -> AdapterCapture {
    try changes.withLock { _ throws(ControlError) in
      var entry = try find(name)
      guard case .here = place else {
        throw ControlError(
          .hostUnsupported, "the software machine has no way to a file of this host for a capture",
          remedy: "capture at the TAP device or interface that \(name) leads to")
      }
      if let running = entry.capture {
        throw ControlError(
          .wrongState, "the network adapter \(name) is being captured to \(running) already",
          remedy: "end that first, with --stop")
      }
      guard let engine = entry.engine else { throw Self.notConnected(name) }
      guard !entry.isLinkDown else {
        throw ControlError(
          .wrongState, "the link of the network adapter \(name) is down", remedy: "`lis vm nic link` sets it up")
      }
      if let other = state.withLock({ $0.entries }).first(where: { $0.capture == path }) {
        throw ControlError(
          .busy, "the network adapter \(other.configuration.name) is being captured to \(path)",
          remedy: "name another file")
      }
      try Self.check(path, overwrite)
      do throws(SwitchError) {
        try engine.startCapture(to: path, ports: [name], snapLength: snapLength ?? PacketCapture.defaultSnapLength)
      } catch {
        throw ControlError(.input, error.description, remedy: "check the path and its permissions")
      }
      entry.capture = path
      keep(entry)
      return report(entry).capture.map { AdapterCapture($0) } ?? AdapterCapture(path: path)
    }
  }

  func stopCapture(of name: String) throws(ControlError) -> CaptureReport {
    try changes.withLock { _ throws(ControlError) in
      var entry = try find(name)
      guard let path = entry.capture, let engine = entry.engine else {
        throw ControlError(
          .wrongState, "the network adapter \(name) is not being captured",
          remedy: "`lis vm nic capture` with a file's name starts a capture")
      }
      entry.capture = nil
      keep(entry)
      do throws(SwitchError) { return try engine.stopCapture(path) } catch { throw ControlError(error) }
    }
  }

  /// Ends what has lost its port.
  func endCapture(of entry: Entry) {
    guard let path = entry.capture, let report = try? entry.engine?.stopCapture(path) else { return }
    let name = entry.configuration.name
    events.record(
      .network, "\(name): the capture to \(path) has ended with its port: \(report.frames) frames",
      details: ["adapter": name, "change": "capture-stopped", "path": path, "frames": "\(report.frames)"])
  }

  /// Neither a file that somebody may need, nor one that would block whoever opens it.
  private static func check(_ path: String, _ overwrite: Bool) throws(ControlError) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw ControlError(.input, "\(path) is not a regular file", remedy: "name a file")
    }
    guard overwrite else {
      throw ControlError(.alreadyExists, "\(path) exists", remedy: "use --overwrite, or name another file")
    }
  }
}
