// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import Synchronization

/// Told about a drive's host running out of space. Called on the drive's own threads; must not block for long.
public protocol DriveSpaceObserver: AnyObject, Sendable {
  /// A request waits for space: it is tried again from time to time until it succeeds or is given up.
  func driveWaitsForSpace(_ drive: Drive)
  /// The first success after that.
  func driveHasSpace(_ drive: Drive)
}

/// One drive: the image in it, and the threads for what can block. Shared by all channels that reach it.
///
/// Two ways lead to the image: the queues' fast one, straight between the guest's memory and the file by io_uring, and
/// `perform`, which does anything and blocks. The second is used for what changes metadata, and where there is no
/// io_uring.
public final class Drive: Sendable {
  struct State {
    var medium: (any DiskImage)?
    var isRemoved = false
    var characteristics: DriveCharacteristics
    /// What the image was found to be, for those who must not wait for it.
    var information: ImageInformation?
    var isPoisoned = false
    var waitingForSpace = 0
    /// Requests that began to wait before this number rose are given up.
    var patience: UInt64 = 0
  }

  /// For events and errors: the image's place on a controller.
  public let name: String
  let state: Mutex<State>
  public let statistics = DriveStatistics()
  /// For what can block: allocation, flushes, discards, and everything where there is no io_uring. Of the drive's own, so
  /// that one whose file answers slowly keeps none of the others waiting. Two threads, so that a flush does not keep
  /// writes waiting; the queues' places bound the tasks.
  let workers: WorkerPool
  private let spaceWait = SpaceWait()
  let inFlight = Atomic<Int>(0)
  private let spaceObserver: AtomicLazyReference<SpaceObserver> = AtomicLazyReference()

  private final class SpaceObserver: Sendable {
    let observer: any DriveSpaceObserver
    init(_ observer: any DriveSpaceObserver) { self.observer = observer }
  }

  /// `medium`: nil for a DVD drive without a disc.
  public init(name: String, medium: (any DiskImage)?, characteristics: DriveCharacteristics) {
    self.name = name
    state = Mutex(State(medium: medium, characteristics: characteristics, information: medium?.information))
    workers = WorkerPool(name: name, limit: 2)
  }

  public func observeSpace(_ observer: any DriveSpaceObserver) { _ = spaceObserver.storeIfNil(SpaceObserver(observer)) }

  public var characteristics: DriveCharacteristics { state.withLock { $0.characteristics } }
  public var medium: (any DiskImage)? { state.withLock { $0.medium } }
  /// The medium's, as it was when it was put in or last resized; never waits for its file.
  public var information: ImageInformation? { state.withLock { $0.information } }
  /// The medium takes no more writes, since its metadata could not be written.
  public var isPoisoned: Bool { state.withLock { $0.isPoisoned } }

  /// Puts another disc in, or none. Requests under way end with the one they began with. The caller closes the old one
  /// when `drain` has returned.
  public func change(medium: (any DiskImage)?, characteristics: DriveCharacteristics) {
    let information = medium?.information
    state.withLock { state in
      state.medium = medium
      state.characteristics = characteristics
      state.information = information
      state.isPoisoned = false
    }
  }

  /// After the image was resized: what the guest may know of it from now on.
  public func update(_ characteristics: DriveCharacteristics) {
    let information = medium?.information
    state.withLock { state in
      state.characteristics = characteristics
      state.information = information
    }
  }

  /// After a failure on `image`.
  func notePoison(of image: any DiskImage) {
    guard image.isPoisoned else { return }
    state.withLock { if $0.medium === image { $0.isPoisoned = true } }
  }

  /// Every later request fails with `.mediumAbsent`; those that wait for space are given up.
  public func remove() {
    state.withLock { $0.isRemoved = true }
    spaceWait.wakeAll()
  }

  /// Requests that wait for space fail now: their guest is gone.
  public func giveUpWaiting() {
    state.withLock { $0.patience += 1 }
    spaceWait.wakeAll()
  }

  /// Requests of all queues between their start and their result.
  var executing: Int { inFlight.load(ordering: .acquiring) }

  /// Blocks until no request is under way. By polling: it happens when a disk goes, no more often. Nothing may keep
  /// starting new ones: `remove` or `change` first.
  public func drain() {
    while executing > 0 { usleep(500) }
  }

  /// Ends the drive's threads when all their work is done. The last thing that happens to a drive; the image is the
  /// caller's to close.
  public func stop() {
    remove()
    workers.finish()
  }

  /// The image for a request that fits, or why there is none.
  func access(_ request: DriveRequest) -> Result<(image: any DiskImage, sector: UInt64, isDurable: Bool), DriveFailure>
  {
    state.withLock { state in
      guard !state.isRemoved, let medium = state.medium else { return .failure(.mediumAbsent) }
      let sector = UInt64(state.characteristics.logicalSectorSize)
      guard request.fits(in: state.characteristics.byteCount),
        request.byteOffset % sector == 0, request.byteCount % sector == 0
      else { return .failure(.outOfRange) }
      guard !request.operation.modifies || !state.characteristics.isReadOnly else { return .failure(.readOnly) }
      return .success((medium, sector, !state.characteristics.hasWriteCache))
    }
  }

  /// Runs `body` until it does not fail for want of space any more, or the drive is removed.
  func waitingForSpace(_ body: () throws(ImageError) -> Void) throws(ImageError) {
    var waited = false
    let patience = state.withLock { $0.patience }
    defer { if waited { endWait() } }
    while true {
      do throws(ImageError) {
        return try body()
      } catch {
        guard error.isNoSpace, let observer = spaceObserver.load()?.observer,
          state.withLock({ !$0.isRemoved && $0.patience == patience })
        else { throw error }
        if !waited {
          waited = true
          state.withLock { $0.waitingForSpace += 1 }
          observer.driveWaitsForSpace(self)
        }
        spaceWait.sleep()
      }
    }
  }

  private func endWait() {
    let last = state.withLock { state in
      state.waitingForSpace -= 1
      return state.waitingForSpace == 0
    }
    if last { spaceObserver.load()?.observer.driveHasSpace(self) }
  }
}
