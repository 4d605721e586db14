// SPDX-License-Identifier: Apache-2.0

/// What the owner has to do for a provider, in this order.
public enum ServiceEffect: Hashable, Sendable {
  /// Write one in-band packet without completion; the bytes are the payload, pipe header included.
  case send([UInt8])
  case event(ServiceEvent)
  case completed(ServiceRequestID, Result<ServiceResult, ServiceError>)
  /// File copy wants `count` bytes of the file at `offset`: answer with `FileCopyProvider.supply`.
  case readFile(ServiceRequestID, offset: UInt64, count: Int)
}
