// SPDX-License-Identifier: Apache-2.0

/// A request body: unknown fields are refused by name instead of being ignored, so that a misspelt `timeoutSeconds`
/// does not silently become the default.
public protocol StrictlyDecodable: Decodable, Sendable {
  static var knownFields: Set<String> { get }
}

/// The body of `POST /v1/machine/stop`.
public struct StopRequest: StrictlyDecodable, Encodable, Hashable {
  public enum Mode: String, Codable, CaseIterable, Sendable {
    /// Ask the guest's shutdown service to power off, and wait.
    case shutdown
    /// Switch off at once.
    case turnOff = "turn-off"
  }

  public var mode: Mode?
  /// How long to wait for a polite shutdown, 1 to 3600.
  public var timeoutSeconds: Double?

  public init(mode: Mode? = nil, timeoutSeconds: Double? = nil) {
    self.mode = mode
    self.timeoutSeconds = timeoutSeconds
  }

  public static let knownFields: Set<String> = ["mode", "timeoutSeconds"]
  public static let defaultTimeout: Duration = .seconds(60)
}

/// The body of `POST /v1/machine/restart`.
public struct RestartRequest: StrictlyDecodable, Encodable, Hashable {
  public enum Mode: String, Codable, CaseIterable, Sendable {
    /// Ask the guest's shutdown service to reboot, and wait for the reset.
    case reboot
    /// Reset at once, in place.
    case reset
  }

  public var mode: Mode?
  /// How long to wait for a polite reboot, 1 to 3600.
  public var timeoutSeconds: Double?

  public init(mode: Mode? = nil, timeoutSeconds: Double? = nil) {
    self.mode = mode
    self.timeoutSeconds = timeoutSeconds
  }

  public static let knownFields: Set<String> = ["mode", "timeoutSeconds"]
}

/// The body of `POST /v1/snapshot/freeze`.
public struct FreezeRequest: StrictlyDecodable, Encodable, Hashable {
  /// After this time the host thaws by itself and says so in an event; 1 to 600.
  public var deadlineSeconds: Double?

  public init(deadlineSeconds: Double? = nil) { self.deadlineSeconds = deadlineSeconds }

  public static let knownFields: Set<String> = ["deadlineSeconds"]
  public static let defaultDeadline: Duration = .seconds(60)
}

/// The body of `PATCH /v1/services/{service}`.
public struct ServiceUpdate: StrictlyDecodable, Encodable, Hashable {
  public var enabled: Bool

  public init(enabled: Bool) { self.enabled = enabled }

  public static let knownFields: Set<String> = ["enabled"]
}

/// What `PUT /v1/files` asks for in its query; the file itself is the body.
public struct FileCopyRequest: Codable, Hashable, Sendable {
  /// Absolute path in the guest.
  public var path: String
  public var overwrite: Bool
  /// Create missing folders.
  public var createFolders: Bool

  public init(path: String, overwrite: Bool = false, createFolders: Bool = false) {
    self.path = path
    self.overwrite = overwrite
    self.createFolders = createFolders
  }
}

/// The answer to a finished file copy.
public struct FileCopyResult: Codable, Hashable, Sendable {
  public var path: String
  public var byteCount: UInt64
  public var seconds: Double

  public init(path: String, byteCount: UInt64, seconds: Double) {
    self.path = path
    self.byteCount = byteCount
    self.seconds = seconds
  }
}

/// The volume snapshot requestor as it stands: the answer of check, freeze and thaw.
public struct SnapshotStatus: Codable, Hashable, Sendable {
  /// The guest can freeze its file systems.
  public var supported: Bool
  public var frozen: Bool
  /// When the host thaws by itself; only while frozen.
  public var thawsAt: Timestamp?

  public init(supported: Bool, frozen: Bool, thawsAt: Timestamp? = nil) {
    self.supported = supported
    self.frozen = frozen
    self.thawsAt = thawsAt
  }
}
