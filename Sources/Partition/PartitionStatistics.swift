// SPDX-License-Identifier: Apache-2.0

/// Counters since the partition was made; resets do not clear them.
public struct PartitionStatistics: Sendable {
  /// Exits to this process by kind.
  public var userExits: [String: UInt64] = [:]
  public var totalUserExits: UInt64 { userExits.values.reduce(0, &+) }
  /// KVM's own counters summed over the processors (`exits`, `io_exits`, `halt_exits`, …), empty where the host has none.
  public var kernel: [String: UInt64] = [:]
  /// Nanoseconds from `Partition.init` to the first KVM_RUN, nil before it.
  public var initToFirstRun: UInt64?
  public var resets: UInt64 = 0
  /// Port writes that came in batches and cost no exit of their own.
  public var batchedPortWrites: UInt64 = 0
  public var serialBytesOut: UInt64 = 0
}
