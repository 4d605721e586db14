// SPDX-License-Identifier: Apache-2.0

/// One copy and how far it has come.
struct FileCopyJob: Sendable {
  enum Step: Sendable {
    /// START is out.
    case starting
    /// START failed without a reason; a START that must fail with a known code is out, to see whether the daemon lives.
    case probing
    /// The owner reads the file.
    case reading
    /// A fragment is out.
    case writing
    /// COMPLETE is out.
    case completing
    /// The guest let a deadline pass; its late answer will be followed by a clean-up.
    case abandoned

    // Clean-up of what the guest has of the file.
    /// CANCEL is out: the daemon of 6.1 removes the file.
    case cancelling
    /// CANCEL failed: is there a daemon, perhaps a new one?
    case probingForRemoval
    /// Quirk FCOPY-UIO-NO-CANCEL: COMPLETE is out, to make the daemon close the file.
    case closing
    /// START with overwrite is out: the file is empty now, and known to a daemon that did not know it.
    case emptying
    /// CANCEL is out for the file just emptied.
    case removing
    /// COMPLETE is out for the file just emptied.
    case closingEmptied
  }

  /// Why the copy ends without success.
  enum Failure: Sendable {
    case cancelled
    case diskFull
    case write(rawStatus: UInt32)
    case source(String)
    case interrupted(CopyInterruption)
  }

  /// nil: the owner has its answer already.
  var id: ServiceRequestID?
  let request: FileCopyRequest
  var step = Step.starting
  var failure: Failure?
  /// The owner wants the copy cancelled; it is when the outstanding message is answered.
  var cancelWanted = false
  /// How often the guest let a deadline pass: a clean-up is not begun for ever.
  var attempts = 0
  static let attemptLimit = 3
  /// The message given up was START: only if it succeeds after all is there a file.
  var startUnanswered = false
  /// Bytes that the guest has acknowledged, those of the fragment that is out, and those that wait to be sent.
  var copied: UInt64 = 0
  var inFlight = 0
  var buffer: ArraySlice<UInt8> = []
  var requested = 0
  var reported: UInt64 = 0

  init(id: ServiceRequestID, request: FileCopyRequest) {
    self.id = id
    self.request = request
  }
}
