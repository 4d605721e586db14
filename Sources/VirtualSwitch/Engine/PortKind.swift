// SPDX-License-Identifier: Apache-2.0

/// What is behind a port.
public enum PortKind: String, Sendable, CaseIterable {
  /// An adapter of this process.
  case adapter
  /// A way out of the switch.
  case uplink
  /// Another process, over the UNIX socket.
  case remote
}
