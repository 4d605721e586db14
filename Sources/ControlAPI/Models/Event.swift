// SPDX-License-Identifier: Apache-2.0

/// Something that happened to a machine: one line of `lis events`.
public struct Event: Codable, Hashable, Sendable {
  /// The group an event belongs to. On the wire a string, so that an older client survives a newer server's kind.
  public struct Kind: RawRepresentable, Codable, Hashable, Sendable {
    public var rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The machine's state changed; details: `state`, at the end `end`.
    public static let state = Kind(rawValue: "state")
    /// The heartbeat's state changed; details: `state`.
    public static let heartbeat = Kind(rawValue: "heartbeat")
    /// A service was offered, negotiated, switched, failed; details: `service`, `state`, `version`.
    public static let service = Kind(rawValue: "service")
    /// The bus was contacted, unloaded; details: `version`.
    public static let bus = Kind(rawValue: "bus")
    /// The guest's kernel panicked; details: `p0` … `p4`, `text`.
    public static let panic = Kind(rawValue: "panic")
    /// A file copy started, ended; details: `path`, `bytes`.
    public static let copy = Kind(rawValue: "copy")
    /// File systems frozen, thawed, thawed by deadline.
    public static let snapshot = Kind(rawValue: "snapshot")
    /// The guest's clock was set.
    public static let time = Kind(rawValue: "time")
    /// A disk was added, removed or resized, its disc changed, its interface changed, or a request to it failed; details:
    /// `controller` and `lun`, or `position`; `path`, `change`, `error`.
    public static let disk = Kind(rawValue: "disk")
    /// A network adapter was added, removed, plugged in or out, its link, VLANs or capture changed, or its guest has
    /// taken another address; details: `adapter`, `change` and what became of it.
    public static let network = Kind(rawValue: "network")
    /// Something of the guest's was refused; rate-limited at its source.
    public static let refusal = Kind(rawValue: "refusal")
  }

  /// 1, 2, 3 … within one run of a machine. A gap means that the reader was too slow and lost events.
  public var sequence: UInt64
  public var time: Timestamp
  public var kind: Kind
  /// One human-readable line.
  public var message: String
  public var details: [String: String]

  public init(sequence: UInt64, time: Timestamp, kind: Kind, message: String, details: [String: String] = [:]) {
    self.sequence = sequence
    self.time = time
    self.kind = kind
    self.message = message
    self.details = details
  }
}
