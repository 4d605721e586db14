// SPDX-License-Identifier: Apache-2.0

/// The integration services, by the short names that the command line uses.
public enum ServiceName: String, Codable, CaseIterable, Hashable, Sendable {
  case heartbeat
  case shutdown
  case time
  case kvp
  case copy
  case snapshot

  /// The name a Hyper-V administrator knows.
  public var title: String {
    switch self {
    case .heartbeat: "Heartbeat"
    case .shutdown: "Shutdown"
    case .time: "Time Synchronization"
    case .kvp: "Key-Value Pair Exchange"
    case .copy: "Guest File Copy"
    case .snapshot: "Volume Snapshot Requestor"
    }
  }
}

/// One integration service as it stands.
public struct ServiceStatus: Codable, Hashable, Sendable {
  public enum State: String, Codable, CaseIterable, Sendable {
    /// Switched off by the administrator; not offered to the guest.
    case disabled
    /// Offered, the guest has not opened the channel.
    case offered
    /// The channel is open and versions are being agreed.
    case negotiating
    /// Ready for use.
    case ready
    /// Ready on the kernel's side, but the guest's daemon does not answer.
    case noDaemon = "no-daemon"
    /// The guest broke the protocol; the reason is in `detail`.
    case failed
  }

  public var name: ServiceName
  public var title: String
  public var enabled: Bool
  public var state: State
  /// Negotiated framework version, `3.0`.
  public var frameworkVersion: String?
  /// Negotiated message version, `4.0`.
  public var version: String?
  /// One line on what is wrong, if anything is.
  public var detail: String?

  public init(
    name: ServiceName, enabled: Bool, state: State, frameworkVersion: String? = nil, version: String? = nil,
    detail: String? = nil
  ) {
    self.name = name
    self.title = name.title
    self.enabled = enabled
    self.state = state
    self.frameworkVersion = frameworkVersion
    self.version = version
    self.detail = detail
  }
}
