// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// What the administrator wants the guest to do.
public struct ShutdownRequest: Hashable, Sendable {
  public enum Action: String, Hashable, Sendable {
    case powerOff
    case restart
    /// Linux refuses unless its platform offers S4.
    case hibernate
  }

  public var action: Action
  /// Do it even when programs object. Linux always does.
  public var force: Bool
  public var reason: ShutdownReason
  /// How long the guest has. Linux ignores it; the provider reports `shutdownOverdue` after it.
  public var timeoutSeconds: UInt32
  /// Shown to the guest's users where the guest does that. Cut to 1023 UTF-16 units.
  public var message: String

  public init(
    _ action: Action, force: Bool = false, reason: ShutdownReason = .planned, timeoutSeconds: UInt32 = 180,
    message: String = ""
  ) {
    self.action = action
    self.force = force
    self.reason = reason
    self.timeoutSeconds = timeoutSeconds
    self.message = message
  }

  var flags: ShutdownFlags {
    let flags: ShutdownFlags =
      switch action {
      case .powerOff: .powerOff
      case .restart: .restart
      case .hibernate: .hibernate
      }
    return force ? flags.forced : flags
  }
}
