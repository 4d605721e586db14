// SPDX-License-Identifier: Apache-2.0

/// A line of `lis vm list`. A machine whose process does not answer still has its name.
public struct MachineSummary: Codable, Hashable, Sendable {
  public var name: String
  /// A `MachineState`, or `not-answering`.
  public var state: String
  public var processID: Int32?
  public var processors: Int?
  public var memoryBytes: UInt64?
  public var uptimeSeconds: Double?
  public var heartbeat: HeartbeatStatus.State?
  public var accelerator: String?

  public init(_ description: MachineDescription) {
    name = description.name
    state = description.state.rawValue
    processID = description.processID
    processors = description.processors
    memoryBytes = description.memoryBytes
    uptimeSeconds = description.uptimeSeconds
    heartbeat = description.heartbeat.state
    accelerator = description.accelerator
  }

  public init(notAnswering name: MachineName) {
    self.name = name.text
    state = "not-answering"
  }
}
