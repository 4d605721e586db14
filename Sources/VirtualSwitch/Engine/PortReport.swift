// SPDX-License-Identifier: Apache-2.0

/// A port as it stands.
public struct PortReport: Sendable {
  public let name: String
  public let port: PortID
  public let kind: PortKind
  /// What an uplink leads to, or the process behind a remote port.
  public let detail: String
  public let settings: PortSettings
  public let isUp: Bool
  public let counters: PortCounters
  public let addresses: [LearnedAddress]
}
