// SPDX-License-Identifier: Apache-2.0

/// Where a machine is in its life.
public enum MachineState: String, Codable, CaseIterable, Sendable {
  /// Created, the first guest instruction has not run.
  case starting
  case running
  case paused
  /// Paused by itself: a disk's file finds no space on the host. It goes on by itself when there is some.
  case pausedCritical = "paused-critical"
  /// A polite shutdown or reboot was asked for and the guest has not acted on it yet.
  case stopping
  /// Over; the process is about to exit.
  case ended
}

/// Why a machine ended.
public enum MachineEnd: String, Codable, CaseIterable, Sendable {
  case powerOff = "power-off"
  case crashed
  case tripleFault = "triple-fault"
  case forcedStop = "forced-stop"
  case hostFailure = "host-failure"

  /// The exit code of `lis run`.
  public var exitStatus: ExitStatus {
    switch self {
    case .powerOff: .success
    case .crashed: .guestCrashed
    case .tripleFault: .tripleFault
    case .forcedStop: .forcedStop
    case .hostFailure: .hostFailure
    }
  }
}
