// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// Why a request of the owner did not succeed.
public enum ServiceError: Error, Hashable, Sendable {
  // Any service.
  /// The service cannot be asked now: switched off or no driver (`closed`), not negotiated yet, daemon not running.
  case unavailable(ServiceState)
  /// Too many requests wait already.
  case queueFull
  /// The guest did not answer in time. What it may still do is unknown.
  case notAnswering(afterMilliseconds: UInt64)
  /// The channel was closed while the request was on its way (reboot, service switched off, driver removed).
  case channelClosed
  /// The guest answered with this code.
  case refused(IntegrationStatus)
  /// The guest's answer made no sense.
  case invalidAnswer(ServiceFault)
  /// The negotiated version has no such request.
  case unsupportedByVersion
  /// The request itself cannot be expressed: which part, and what its limit is.
  case invalidRequest(String)
  /// The channel is open but the guest says that the user-mode daemon is not there.
  case daemonNotRunning
  /// Cancelled by the owner.
  case cancelled(remains: FileRemains)

  // Key-value exchange.
  case noSuchKey
  case keyExists
  case adapterNotFound

  // File copy.
  case fileExists
  /// The guest could not create the file: a folder is missing or not writable, or the name is not allowed.
  case cannotCreate
  case diskFull(remains: FileRemains)
  case writeFailed(IntegrationStatus, remains: FileRemains)
  /// The copy was under way when the guest stopped answering or its daemon went away.
  case copyInterrupted(reason: CopyInterruption, remains: FileRemains)
  /// The owner could not supply the file's bytes.
  case sourceFailed(String, remains: FileRemains)
  /// This guest's daemon does not translate such a name (quirk FCOPY-UIO-ASCII).
  case nameNotSupported

  // Volume snapshots.
  /// The daemon could not freeze all file systems; it has thawed what it had frozen.
  case freezeFailed
  /// The file systems are frozen already.
  case alreadyFrozen
}

/// What an unfinished copy leaves under the final name.
public enum FileRemains: String, Hashable, Sendable {
  /// No byte was written and no file made by this copy.
  case nothing
  /// The guest removed the unfinished file.
  case removed
  /// The guest's daemon cannot remove files; the unfinished file was cut to zero bytes.
  case emptyFile
  /// The guest could not be asked any more: an unfinished file may lie there.
  case perhapsPartialFile
}

public enum CopyInterruption: String, Hashable, Sendable {
  case notAnswering
  case daemonNotRunning
  case channelClosed
}
