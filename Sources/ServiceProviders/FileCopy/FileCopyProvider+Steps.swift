// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The steps of a copy, of finding out why one failed, and of cleaning up.
extension FileCopyProvider {
  /// The guest answered the message that the current step had sent.
  mutating func answered(_ status: IntegrationStatus, _ clock: ServiceClock) {
    guard let job else { return }
    switch job.step {
    case .starting: started(status, job, clock)
    case .probing:
      // "Exists" is what a living daemon says; then it was the file that could not be made.
      found(status == .failure ? .missing : .present, clock)
      if job.cancelWanted {
        finish(.failure(.cancelled(remains: .nothing)))
      } else {
        finish(.failure(status == .failure ? .daemonNotRunning : .cannotCreate))
      }
    case .reading: break
    case .writing: written(status, job, clock)
    case .completing:
      if status == .ok {
        finish(.success(.copied(job.copied)))
      } else {
        fail(.write(rawStatus: status.rawValue), clock)
      }
    case .abandoned:
      let neverMade = job.startUnanswered && status != .ok
      self.job?.startUnanswered = false
      if neverMade || job.attempts > FileCopyJob.attemptLimit {
        self.job = nil
      } else {
        fail(.interrupted(.notAnswering), clock)
      }
    case .cancelling:
      if status == .ok {
        finishCleanUp(.removed)
      } else {
        advance(to: .probingForRemoval, clock)
      }
    case .probingForRemoval:
      if status == .failure {
        self.job?.failure = .interrupted(.daemonNotRunning)
        found(.missing, clock)
        finishCleanUp(.perhapsPartialFile)
      } else {
        // A daemon that was started since and does not know the file: open it once more, then cancel.
        advance(to: .emptying, clock)
      }
    case .closing: advance(to: .emptying, clock)
    case .emptying:
      if status == .ok {
        advance(to: isUIODaemon ? .closingEmptied : .removing, clock)
      } else {
        finishCleanUp(.perhapsPartialFile)
      }
    case .removing: finishCleanUp(status == .ok ? .removed : .emptyFile)
    case .closingEmptied: finishCleanUp(.emptyFile)
    }
  }

  private mutating func started(_ status: IntegrationStatus, _ job: FileCopyJob, _ clock: ServiceClock) {
    switch status {
    case .ok:
      if job.cancelWanted {
        fail(.cancelled, clock)
      } else {
        next(clock)
      }
    case .failure where !isUIODaemon: advance(to: .probing, clock)
    case .failure: finish(.failure(job.cancelWanted ? .cancelled(remains: .nothing) : .cannotCreate))
    case .fileExists: finish(.failure(job.cancelWanted ? .cancelled(remains: .nothing) : .fileExists))
    case .diskFull: finish(.failure(.diskFull(remains: .nothing)))
    default: finish(.failure(.refused(status)))
    }
  }

  private mutating func written(_ status: IntegrationStatus, _ job: FileCopyJob, _ clock: ServiceClock) {
    guard status == .ok else {
      fail(status == .diskFull ? .diskFull : .write(rawStatus: status.rawValue), clock)
      return
    }
    self.job?.copied &+= UInt64(job.inFlight)
    let copied = job.copied &+ UInt64(job.inFlight)
    let size = job.request.size
    if let id = job.id, copied == size || copied - job.reported >= max(size / 100, 1 << 18) {
      self.job?.reported = copied
      channel.report(.copyProgress(id, copied: copied, of: size))
    }
    if job.cancelWanted {
      fail(.cancelled, clock)
    } else {
      next(clock)
    }
  }

  /// The next fragment, the next block of the file, or the end.
  private mutating func next(_ clock: ServiceClock) {
    guard let job else { return }
    if !job.buffer.isEmpty {
      sendFragment(clock)
    } else if job.copied < job.request.size, let id = job.id {
      let count = Int(min(UInt64(Self.blockSize), job.request.size - job.copied))
      self.job?.step = .reading
      self.job?.requested = count
      channel.requestFile(id, offset: job.copied, count: count)
    } else {
      advance(to: .completing, clock)
    }
  }

  /// The copy has failed, or is given up, with the file made in the guest: clean up.
  mutating func fail(_ failure: FileCopyJob.Failure, _ clock: ServiceClock) {
    if job?.failure == nil { job?.failure = failure }
    job?.buffer = []
    advance(to: isUIODaemon ? .closing : .cancelling, clock)
  }

  /// Enters a step and sends its message.
  private mutating func advance(to step: FileCopyJob.Step, _ clock: ServiceClock) {
    guard let request = job?.request else { return }
    job?.step = step
    switch step {
    case .probing, .probingForRemoval: sendProbe(clock)
    case .completing, .closing, .closingEmptied: sendHeader(.complete, clock)
    case .cancelling, .removing: sendHeader(.cancel, clock)
    case .emptying:
      var emptying = request
      emptying.overwrite = true
      emptying.createPath = false
      emptying.size = 0
      sendStart(emptying, clock)
    case .starting, .reading, .writing, .abandoned: break
    }
  }

  // MARK: Messages

  mutating func sendStart(_ request: FileCopyRequest, _ clock: ServiceClock) {
    let start = FileCopyStart(flags: request.flags, size: request.size)
    let folder = request.folderOnWire
    channel.send(bodySize: FileCopyStart.bodySize, within: ServiceLimits.reply, clock) {
      (body: inout MutableRawSpan) throws(WireError) in
      try start.encode(into: &body)
      try HostText.write(request.name, to: &body, at: FileCopyStart.nameOffset)
      try HostText.write(folder, to: &body, at: FileCopyStart.folderOffset)
    }
  }

  mutating func sendProbe(_ clock: ServiceClock) {
    sendStart(FileCopyRequest(name: ".", folder: "/", size: 0), clock)
  }

  private mutating func sendHeader(_ operation: FileCopyOperation, _ clock: ServiceClock) {
    let header = FileCopyHeader(operation: operation)
    channel.send(bodySize: FileCopyHeader.wireSize, within: ServiceLimits.reply, clock) {
      (body: inout MutableRawSpan) throws(WireError) in try header.encode(into: &body)
    }
  }

  /// Sends the next fragment of the buffer.
  mutating func sendFragment(_ clock: ServiceClock) {
    guard let job else { return }
    let fragment = job.buffer.prefix(FileCopyWrite.dataCapacity)
    let write = FileCopyWrite(offset: job.copied, count: UInt32(fragment.count))
    self.job?.buffer = job.buffer.dropFirst(fragment.count)
    self.job?.inFlight = fragment.count
    self.job?.step = .writing
    channel.send(bodySize: FileCopyWrite.bodySize, within: ServiceLimits.reply, clock) {
      (body: inout MutableRawSpan) throws(WireError) in
      try write.encode(into: &body)
      try body.write(unsafe fragment.span.bytes, at: FileCopyWrite.dataOffset)
    }
  }
}
