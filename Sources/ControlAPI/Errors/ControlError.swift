// SPDX-License-Identifier: Apache-2.0

/// What every call of the control API can fail with: the same value in the VM process, on the wire and in the client.
///
/// `message` names the input that was wrong; `remedy` says what the reader can do about it. Neither ends in a full stop,
/// so that they can be put into a sentence.
public struct ControlError: Error, Codable, Hashable, Sendable {
  public var code: Code
  public var message: String
  public var remedy: String?

  public init(_ code: Code, _ message: String, remedy: String? = nil) {
    self.code = code
    self.message = message
    self.remedy = remedy
  }
}

extension ControlError {
  /// The class of a failure. On the wire a string, so that an older client survives a newer server's code.
  public struct Code: RawRepresentable, Codable, Hashable, Sendable {
    public var rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The request cannot be understood: bad JSON, unknown field, value out of range.
    public static let badRequest = Code(rawValue: "bad-request")
    /// Nothing at this path, or no such KVP key, adapter, service, disk.
    public static let notFound = Code(rawValue: "not-found")
    /// The path exists, the method does not.
    public static let methodNotAllowed = Code(rawValue: "method-not-allowed")
    /// The target exists and overwriting was not asked for, or the place of a disk is taken.
    public static let alreadyExists = Code(rawValue: "already-exists")
    /// The machine's present state rules the operation out (pause when paused, freeze when frozen …).
    public static let wrongState = Code(rawValue: "wrong-state")
    /// An operation of this kind is under way for another client.
    public static let busy = Code(rawValue: "busy")
    /// The integration service is switched off, not negotiated, or its daemon does not run in the guest.
    public static let serviceUnavailable = Code(rawValue: "service-unavailable")
    /// The guest was asked and said no.
    public static let refused = Code(rawValue: "refused")
    /// The guest tried and failed; the message carries its error.
    public static let guestFailure = Code(rawValue: "guest-failure")
    /// No answer within the deadline.
    public static let timedOut = Code(rawValue: "timed-out")
    /// Given up because the caller asked for it, or went away.
    public static let cancelled = Code(rawValue: "cancelled")
    /// The body or a field is larger than the API takes.
    public static let tooLarge = Code(rawValue: "too-large")
    /// The API is at a limit (clients, subscribers).
    public static let tooManyClients = Code(rawValue: "too-many-clients")
    /// No machine of this name runs.
    public static let notRunning = Code(rawValue: "not-running")
    /// A machine of this name runs already.
    public static let alreadyRunning = Code(rawValue: "already-running")
    /// The configuration (flags or YAML) is wrong.
    public static let configuration = Code(rawValue: "configuration")
    /// A file named by the user is missing, unreadable, or not what it should be.
    public static let input = Code(rawValue: "input")
    /// This host cannot run the machine: no KVM, no permission, no Hyper-V capability.
    public static let hostUnsupported = Code(rawValue: "host-unsupported")
    /// The host failed: a system call, KVM, or a defect of ours.
    public static let hostFailure = Code(rawValue: "host-failure")
  }
}

extension ControlError.Code {
  /// The HTTP status a failure of this class is sent with.
  public var httpStatus: Int {
    switch self {
    case .badRequest, .configuration, .input: 400
    case .notFound, .notRunning: 404
    case .methodNotAllowed: 405
    case .alreadyExists, .wrongState, .busy, .alreadyRunning, .cancelled: 409
    case .tooLarge: 413
    case .refused, .guestFailure: 422
    case .serviceUnavailable, .tooManyClients: 503
    case .timedOut: 504
    default: 500
    }
  }

  /// The exit code `lis` ends with for a failure of this class.
  public var exitCode: ExitStatus {
    switch self {
    case .badRequest, .methodNotAllowed, .tooLarge: .usage
    case .configuration: .configuration
    case .input: .input
    case .hostUnsupported: .hostUnsupported
    case .notRunning: .notRunning
    case .alreadyRunning: .alreadyRunning
    case .wrongState, .busy, .refused, .tooManyClients: .refused
    case .serviceUnavailable: .serviceUnavailable
    case .timedOut: .timedOut
    case .notFound: .notFound
    case .alreadyExists: .alreadyExists
    case .guestFailure: .guestFailure
    case .cancelled: .cancelled
    default: .hostFailure
    }
  }
}
