// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// What comes next for a command.
public enum SCSIStep: Sendable {
  /// It is over. When this is the answer to `begin` or `resume`, `byteCount` bytes of the response go into the sender's
  /// buffer first; when it is the answer to `finish`, the data are where they belong.
  case complete(SCSIOutcome)
  /// As `complete`; and the guest has put the disc out: let go of its image.
  case ejected(SCSIOutcome)
  /// Execute this with the sender's buffer, from its start, then `finish` the task.
  case transfer(DriveRequest, SCSITask)
  /// Copy this many bytes from the start of the sender's buffer, once, then `resume` with the copy.
  case fetch(byteCount: Int, SCSITask)
}

extension SCSIStep {
  /// The same with sense data in this format, now or later.
  consuming func saying(in format: SenseData.Format) -> SCSIStep {
    // Nearly always: nothing to do, on the way of every read and write.
    guard format != .fixed else { return self }
    switch consume self {
    case .complete(var outcome):
      outcome.sense?.format = format
      return .complete(outcome)
    case .ejected(let outcome): return .ejected(outcome)
    case .transfer(let request, var task):
      task.senseFormat = format
      return .transfer(request, task)
    case .fetch(let byteCount, var task):
      task.senseFormat = format
      return .fetch(byteCount: byteCount, task)
    }
  }
}

/// What is to be remembered of a command in progress: by the caller, beside its request. Small, and without references
/// for everything but an UNMAP of several ranges.
public struct SCSITask: Sendable {
  enum Kind: Sendable {
    /// Over with its only drive request.
    case single
    case unmap(listByteCount: UInt32)
    case modeSelect(long: Bool, listByteCount: UInt32)
  }

  var kind: Kind
  /// Bytes that a success has moved.
  var byteCount: UInt32
  /// log2 of the sector size, for sense data.
  var sectorShift: UInt8
  /// What the guest wants sense data in.
  var senseFormat = SenseData.Format.fixed
  /// First byte of the drive request, for sense data.
  var byteOffset: UInt64 = 0
  /// What is still to be discarded.
  var remaining: ArraySlice<DriveRequest> = []

  init(_ kind: Kind = .single, byteCount: UInt32 = 0, sectorShift: UInt8, byteOffset: UInt64 = 0) {
    self.kind = kind
    self.byteCount = byteCount
    self.sectorShift = sectorShift
    self.byteOffset = byteOffset
  }

  /// The drive request ended. Needs nothing of the unit, and so no lock.
  public consuming func finish(_ result: DriveResult) -> SCSIStep {
    switch result {
    case .success:
      if let next = remaining.popFirst() {
        byteOffset = next.byteOffset
        return .transfer(next, self)
      }
      return .complete(.good(byteCount: byteCount))
    case .failure(let failure, let at):
      let block = (at ?? byteOffset) >> UInt64(sectorShift)
      return SCSIStep.complete(Self.outcome(of: failure, block: block)).saying(in: senseFormat)
    }
  }

  static func outcome(of failure: DriveFailure, block: UInt64) -> SCSIOutcome {
    switch failure {
    case .outOfRange: .check(.illegalRequest, .blockOutOfRange, information: block)
    case .readFailed: .check(.mediumError, .unrecoveredReadError, information: block)
    case .writeFailed: .check(.mediumError, .writeError, information: block)
    // Linux makes ENOSPC of it.
    case .noSpace: .check(.dataProtect, .spaceAllocationFailed)
    case .readOnly: .check(.dataProtect, .writeProtected)
    case .mediumAbsent: .check(.notReady, .mediumNotPresent)
    case .miscompare: .check(.miscompare, .miscompareDuringVerify, information: block)
    case .cancelled: .aborted
    case .badBuffer: .invalid
    case .broken: .check(.hardwareError, .internalFailure)
    }
  }
}
