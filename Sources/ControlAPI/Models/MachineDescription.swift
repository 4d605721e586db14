// SPDX-License-Identifier: Apache-2.0

/// Everything `lis vm show` prints: the answer of `GET /v1/machine`.
public struct MachineDescription: Codable, Hashable, Sendable {
  public var name: String
  public var state: MachineState
  /// The process that runs the machine.
  public var processID: Int32
  /// `kvm` or `software`.
  public var accelerator: String
  /// Why this accelerator was taken, in one line.
  public var acceleratorReason: String
  public var processors: Int
  /// Guest memory in bytes.
  public var memoryBytes: UInt64
  public var startedAt: Timestamp
  /// Seconds since start, pauses included.
  public var uptimeSeconds: Double
  /// Times the machine was reset in place.
  public var resets: Int
  public var bus: BusDescription
  public var heartbeat: HeartbeatStatus
  public var disks: [AttachedDisk]
  public var nics: [AttachedAdapter]
  public var services: [ServiceStatus]
  /// The last crash the guest reported since the machine started.
  public var crash: CrashReport?
  /// Free-form counters (exits by kind, refused messages …), sorted by name where printed.
  public var statistics: [String: UInt64]

  public init(
    name: String, state: MachineState, processID: Int32, accelerator: String, acceleratorReason: String,
    processors: Int, memoryBytes: UInt64, startedAt: Timestamp, uptimeSeconds: Double, resets: Int = 0,
    bus: BusDescription, heartbeat: HeartbeatStatus,
    disks: [AttachedDisk] = [], nics: [AttachedAdapter] = [], services: [ServiceStatus], crash: CrashReport? = nil,
    statistics: [String: UInt64] = [:]
  ) {
    self.name = name
    self.state = state
    self.processID = processID
    self.accelerator = accelerator
    self.acceleratorReason = acceleratorReason
    self.processors = processors
    self.memoryBytes = memoryBytes
    self.startedAt = startedAt
    self.uptimeSeconds = uptimeSeconds
    self.resets = resets
    self.bus = bus
    self.heartbeat = heartbeat
    self.disks = disks
    self.nics = nics
    self.services = services
    self.crash = crash
    self.statistics = statistics
  }
}

/// The VMBus as the host sees it.
public struct BusDescription: Codable, Hashable, Sendable {
  /// The negotiated version, `5.3`; absent before the guest made contact and after it unloaded the bus.
  public var version: String?
  public var channels: [ChannelDescription]

  public init(version: String? = nil, channels: [ChannelDescription] = []) {
    self.version = version
    self.channels = channels
  }
}

/// One offer and what became of it.
public struct ChannelDescription: Codable, Hashable, Sendable {
  public enum State: String, Codable, CaseIterable, Sendable {
    case offered, opening, open, closing, rescinded
  }

  /// The channel's number on the bus (relid).
  public var id: UInt32
  /// Human name of the device behind it.
  public var name: String
  public var classID: String
  public var instanceID: String
  public var state: State
  /// The virtual processor the guest wants interrupts on; absent while closed.
  public var targetProcessor: UInt32?

  public init(
    id: UInt32, name: String, classID: String, instanceID: String, state: State, targetProcessor: UInt32? = nil
  ) {
    self.id = id
    self.name = name
    self.classID = classID
    self.instanceID = instanceID
    self.state = state
    self.targetProcessor = targetProcessor
  }
}

/// What the heartbeat service knows of the guest.
public struct HeartbeatStatus: Codable, Hashable, Sendable {
  public enum State: String, Codable, CaseIterable, Sendable {
    /// The guest answers in time.
    case ok
    /// The guest has not answered since the machine started or was reset.
    case noContact = "no-contact"
    /// The guest answered once and has stopped doing so.
    case lost
    /// The service is switched off, or the machine is paused.
    case off
  }

  public var state: State
  /// When the state was entered.
  public var since: Timestamp?
  /// When the guest last answered.
  public var lastBeat: Timestamp?

  public init(state: State, since: Timestamp? = nil, lastBeat: Timestamp? = nil) {
    self.state = state
    self.since = since
    self.lastBeat = lastBeat
  }
}

/// A guest panic as reported through the crash registers.
public struct CrashReport: Codable, Hashable, Sendable {
  public var at: Timestamp
  /// P0 to P4 as `0x…` text: JSON numbers cannot hold 64 bits safely.
  public var parameters: [String]
  /// The panic text, where the guest handed one over.
  public var message: String?

  public init(at: Timestamp, parameters: [UInt64], message: String? = nil) {
    self.at = at
    self.parameters = parameters.map { "0x" + String($0, radix: 16) }
    self.message = message
  }
}
