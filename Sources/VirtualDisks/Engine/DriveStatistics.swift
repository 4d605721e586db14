// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What a drive has done since it was made. Any thread.
public final class DriveStatistics: Sendable {
  private let reads = Atomic<UInt64>(0)
  private let readBytes = Atomic<UInt64>(0)
  private let writes = Atomic<UInt64>(0)
  private let writtenBytes = Atomic<UInt64>(0)
  private let flushes = Atomic<UInt64>(0)
  private let discards = Atomic<UInt64>(0)
  private let failures = Atomic<UInt64>(0)

  public struct Figures: Equatable, Sendable {
    public var reads: UInt64 = 0
    public var readBytes: UInt64 = 0
    public var writes: UInt64 = 0
    public var writtenBytes: UInt64 = 0
    public var flushes: UInt64 = 0
    /// Discards and writes of zeroes.
    public var discards: UInt64 = 0
    public var failures: UInt64 = 0
  }

  public var figures: Figures {
    Figures(
      reads: reads.load(ordering: .relaxed), readBytes: readBytes.load(ordering: .relaxed),
      writes: writes.load(ordering: .relaxed), writtenBytes: writtenBytes.load(ordering: .relaxed),
      flushes: flushes.load(ordering: .relaxed), discards: discards.load(ordering: .relaxed),
      failures: failures.load(ordering: .relaxed))
  }

  func count(_ request: DriveRequest, _ result: DriveResult) {
    guard case .success = result else {
      failures.wrappingAdd(1, ordering: .relaxed)
      return
    }
    switch request.operation {
    case .read:
      reads.wrappingAdd(1, ordering: .relaxed)
      readBytes.wrappingAdd(request.byteCount, ordering: .relaxed)
    case .write, .writeSame:
      writes.wrappingAdd(1, ordering: .relaxed)
      writtenBytes.wrappingAdd(request.byteCount, ordering: .relaxed)
    case .flush: flushes.wrappingAdd(1, ordering: .relaxed)
    case .discard, .writeZeroes: discards.wrappingAdd(1, ordering: .relaxed)
    case .verify, .compare: break
    }
  }
}
