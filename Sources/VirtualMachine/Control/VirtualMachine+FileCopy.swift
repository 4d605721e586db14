// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import DeviceProtocols
import ServiceProviders
import Synchronization

extension VirtualMachine {
  public func copyFile(
    _ request: ControlAPI.FileCopyRequest, from source: FileCopySource
  ) async throws(ControlError) -> FileCopyResult {
    let started = MachineClock.monotonic()
    guard request.path.hasPrefix("/"), let slash = request.path.lastIndex(of: "/") else {
      throw ControlError(.badRequest, "\(request.path) is not an absolute path in the guest", remedy: "begin it with /")
    }
    let name = String(request.path[request.path.index(after: slash)...])
    guard !name.isEmpty else {
      throw ControlError(.badRequest, "\(request.path) names a folder", remedy: "name the file too")
    }
    let copy = ServiceProviders.FileCopyRequest(
      name: name, folder: slash == request.path.startIndex ? "/" : String(request.path[..<slash]),
      size: source.byteCount, overwrite: request.overwrite, createPath: request.createFolders)
    events.record(
      .copy, "copying \(source.byteCount) bytes to \(request.path)",
      details: ["path": request.path, "bytes": String(source.byteCount), "state": "started"])
    let result = await runUntilCancelled(copy, source)
    switch result {
    case .success:
      let seconds = Double(MachineClock.monotonic() &- started) / 1e9
      events.record(
        .copy, "copied \(request.path)",
        details: ["path": request.path, "bytes": String(source.byteCount), "state": "done"])
      return FileCopyResult(path: request.path, byteCount: source.byteCount, seconds: seconds)
    case .failure(let error):
      let failure = ControlError(error, name: .copy, subject: request.path)
      events.record(
        .copy, "copying \(request.path) failed: \(failure.message)",
        details: ["path": request.path, "state": "failed", "code": failure.code.rawValue])
      throw failure
    }
  }

  /// A cancelled task cancels the copy, whatever it is at; the guest's clean-up is waited for.
  private func runUntilCancelled(
    _ copy: ServiceProviders.FileCopyRequest, _ source: FileCopySource
  ) async -> Result<ServiceResult, ServiceError> {
    let progress = CopyInProgress()
    let work = Task { await run(copy, source, progress) }
    return await withTaskCancellationHandler {
      await work.value
    } onCancel: {
      if let id = progress.cancel() { services.update(FileCopyProvider.self) { $0.cancel(id: id, $1) } }
    }
  }

  /// The provider asks for bytes in order; each wish is met from the source before the next comes.
  private func run(
    _ copy: ServiceProviders.FileCopyRequest, _ source: FileCopySource, _ progress: CopyInProgress
  ) async -> Result<ServiceResult, ServiceError> {
    let (reads, wishes) = AsyncStream.makeStream(of: ServiceGroup.ReadRequest.self)
    let outcome = Watched<Result<ServiceResult, ServiceError>?>(nil)
    services.start(FileCopyProvider.self, readers: wishes, completion: { result in outcome.update { $0 = result } }) {
      $0.copy(copy, id: $1, $2)
      if progress.begin($1) { $0.cancel(id: $1, $2) }
    }
    var feed = FileCopyFeed(source)
    for await read in reads {
      do throws(ControlError) {
        let bytes = try await feed.bytes(at: read.offset, count: read.count)
        services.update(FileCopyProvider.self) { $0.supply(bytes, offset: read.offset, id: read.id, $1) }
      } catch {
        // The client is gone, or its file ended early: nothing of the file may stay under its name.
        services.update(FileCopyProvider.self) { provider, clock in
          if error.code == .cancelled {
            provider.cancel(id: read.id, clock)
          } else {
            provider.sourceFailed(error.message, id: read.id, clock)
          }
        }
      }
    }
    await outcome.wait { $0 != nil }
    return outcome.value ?? .failure(.channelClosed)
  }
}

/// A copy that may be cancelled before, while and after it begins, from any thread.
private final class CopyInProgress: Sendable {
  private let state = Mutex((id: ServiceRequestID?.none, isCancelled: false))

  /// Whether it was cancelled before.
  func begin(_ id: ServiceRequestID) -> Bool {
    state.withLock { state in
      state.id = id
      return state.isCancelled
    }
  }

  /// The request to cancel, once it has begun.
  func cancel() -> ServiceRequestID? {
    state.withLock { state in
      state.isCancelled = true
      return state.id
    }
  }
}

/// Cuts what a client sends into the pieces that the guest asks for.
private struct FileCopyFeed {
  private let source: FileCopySource
  private var pending: [UInt8] = []
  private var offset: UInt64 = 0

  init(_ source: FileCopySource) { self.source = source }

  mutating func bytes(at offset: UInt64, count: Int) async throws(ControlError) -> [UInt8] {
    guard offset == self.offset else {
      throw ControlError(.hostFailure, "a file copy went back from byte \(self.offset) to \(offset)")
    }
    while pending.count < count {
      guard let chunk = try await source.nextChunk() else { break }
      pending += chunk
    }
    let bytes = Array(pending.prefix(count))
    pending.removeFirst(bytes.count)
    self.offset += UInt64(bytes.count)
    return bytes
  }
}
