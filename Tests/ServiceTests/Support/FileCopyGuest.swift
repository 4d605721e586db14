// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import VMBus

/// Linux's two kinds of file copy guest, as their sources behave: the driver with its daemon of 6.1, and the uio daemon
/// of 6.12. Files live in memory.
struct FileCopyGuest {
  enum Kind: String { case driver, uio }
  let kind: Kind
  /// Path to bytes.
  var files: [String: [UInt8]] = [:]
  var folders: Set<String> = ["/", "/tmp"]
  var readOnly: Set<String> = []
  /// Bytes that still fit the disk.
  var space = 1 << 40
  var daemonRuns = true
  var isStopped = false
  var unanswered: [Packet] = []
  var operations: [FileCopyOperation] = []
  private var open: String?
  /// The name that CANCEL removes; the daemon of 6.1 forgets it at COMPLETE.
  private var target: String?

  init(_ kind: Kind) { self.kind = kind }

  mutating func killDaemon() {
    daemonRuns = false
    open = nil
    target = nil
  }

  mutating func answer(_ packet: Packet) -> Packet? {
    if packet.isNegotiation {
      var answer = packet.choosing(ServiceVersion(3, 0), ServiceVersion(1, 1))
      // The driver leaves the status word as the host sent it; the uio daemon writes 0.
      answer.write(kind == .driver ? packet.read(UInt32.self, at: 20) : 0, at: 20)
      return answer
    }
    guard daemonRuns else { return kind == .driver ? packet.answer(.failure) : nil }
    if isStopped {
      unanswered.append(packet)
      return nil
    }
    return packet.answer(work(packet))
  }

  mutating func work(_ packet: Packet) -> IntegrationStatus {
    let operation = FileCopyOperation(rawValue: packet.read(UInt32.self, at: 28))
    operations.append(operation)
    switch operation {
    case .start: return start(packet)
    case .write:
      let offset = Int(packet.read(UInt64.self, at: 68))
      let count = Int(packet.read(UInt32.self, at: 76))
      guard let open, files[open] != nil else { return .failure }
      guard count <= space else { return .diskFull }
      space -= count
      let data = packet.bytes[80..<80 + count]
      guard offset == files[open]?.count else { return .failure }
      files[open]?.append(contentsOf: data)
      return .ok
    case .complete:
      open = nil
      target = nil
      return .ok
    case .cancel where kind == .driver:
      open = nil
      if let target { files[target] = nil }
      target = nil
      return .ok
    default: return .failure
    }
  }

  private mutating func start(_ packet: Packet) -> IntegrationStatus {
    func text(_ offset: Int) -> String {
      let units = (0..<260).map { packet.read(UInt16.self, at: offset + 2 * $0) }.prefix { $0 != 0 }
      return String(decoding: units, as: UTF16.self)
    }
    let name = text(64)
    let path = text(584)
    let flags = packet.read(UInt32.self, at: 1104)
    // Only folders that a slash follows are looked at.
    var folder = ""
    for part in path.split(separator: "/", omittingEmptySubsequences: true).dropLast(path.hasSuffix("/") ? 0 : 1) {
      folder += "/" + part
      if !folders.contains(folder) {
        guard flags & 2 != 0, readOnly.isDisjoint(with: [folder]) else { return .failure }
        folders.insert(folder)
      }
    }
    if name == "." { return .fileExists }
    let file = (folder == "" ? "" : folder) + "/" + name
    if files[file] != nil, flags & 1 == 0 { return .fileExists }
    guard folders.contains(folder == "" ? "/" : folder), !readOnly.contains(folder) else { return .failure }
    space += files[file]?.count ?? 0
    files[file] = []
    open = file
    target = file
    return .ok
  }
}
