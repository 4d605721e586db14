// SPDX-License-Identifier: Apache-2.0

/// The exit codes of `lis`, all of them. `docs/exit-codes.md` holds the same table; a test compares the two.
public enum ExitStatus: Int32, CaseIterable, Sendable {
  /// Done. For `lis run`: the guest switched itself off, or was shut down politely.
  case success = 0
  case hostFailure = 1
  case guestCrashed = 10
  case tripleFault = 11
  case forcedStop = 12
  case notRunning = 20
  case alreadyRunning = 21
  case refused = 22
  case serviceUnavailable = 23
  case timedOut = 24
  case notFound = 25
  case alreadyExists = 26
  case guestFailure = 27
  case cancelled = 28
  case usage = 64
  case input = 66
  case hostUnsupported = 69
  case configuration = 78

  /// One line for `lis --help` and the documentation.
  public var meaning: String {
    switch self {
    case .success: "done; `lis run`: the guest switched itself off or was shut down politely"
    case .hostFailure: "the host failed: a system call, KVM, or a defect of swift-lis"
    case .guestCrashed: "`lis run`: the guest's kernel panicked"
    case .tripleFault: "`lis run`: a processor of the guest shut down after a triple fault"
    case .forcedStop: "`lis run`: the machine was switched off by force"
    case .notRunning: "no machine or switch of this name is running"
    case .alreadyRunning: "a machine or switch of this name is running already"
    case .refused: "refused: the state of the machine or switch rules it out, a file is in use, or the guest said no"
    case .serviceUnavailable: "the integration service is off, not negotiated, or its daemon does not run in the guest"
    case .timedOut: "no answer within the deadline"
    case .notFound: "no such key, adapter, port, capture, service or disk"
    case .alreadyExists: "the target exists and overwriting was not asked for, or the place of a disk is taken"
    case .guestFailure: "the guest tried and failed"
    case .cancelled: "given up on request (Ctrl-C)"
    case .usage: "the command line was not understood"
    case .input: "a file named on the command line is missing, unreadable, damaged or not usable"
    case .hostUnsupported: "this host cannot run machines this way: no KVM, no permission, no Hyper-V capability"
    case .configuration: "the configuration is wrong: a value out of range, an unknown YAML key"
    }
  }
}
