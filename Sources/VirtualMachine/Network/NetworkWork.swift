// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Glibc
import HostSystem
import Partition
import ServiceProviders
import VMBus
import VirtualSwitch

/// What a network channel's thread does: takes the guest's packets, and sends the frames in them. Lives on that thread.
@safe
final class NetworkWork {
  private let runner: NetworkRunner
  private let ring: IncomingRing
  private let owner: any NetworkRunnerOwner
  private var frame = TransmitFrame()
  /// Where a frame's bytes lie. More pieces than a frame of 64 KiB has in pages and the pages of a few odd headers are
  /// refused.
  private let pieces: UnsafeMutableBufferPointer<iovec>
  private var sender: (any FrameSender)?
  private var senderNumber = -1
  private var isBroken = false

  private static let maximumPieces = 64
  /// Of as many packets as `IncomingRing.batchLimit` each.
  private static let turnsPerDelivery = 4

  init(runner: NetworkRunner, ring: IncomingRing, owner: any NetworkRunnerOwner) {
    self.runner = runner
    self.ring = ring
    self.owner = owner
    unsafe pieces = .allocate(capacity: Self.maximumPieces)
  }

  deinit { unsafe pieces.deallocate() }

  func run() {
    giveWay()
    while !runner.mustEnd {
      // A signal costs the guest's processor an exit: none while this thread looks by itself.
      if !isBroken { ring.mask() }
      var mayHaveMore: Bool
      var turns = 0
      repeat {
        mayHaveMore = !isBroken && receive()
        turns += 1
        // A guest that hears of each few packets wakes up for each few.
        if mayHaveMore, turns % Self.turnsPerDelivery != 0 { continue }
        runner.deliver()
        reportFailure()
        if !isBroken, ring.hasMore, canReceive { mayHaveMore = true }
      } while mayHaveMore && !runner.mustEnd
      if !isBroken, ring.unmask(), canReceive { continue }
      runner.bell.wait()
    }
  }

  /// Where no processor is idle, a signal lets the guest's go on until it waits, or its time is over, instead of putting this
  /// thread in its place for every packet: so one signal is enough for what the guest does meanwhile.
  private func giveWay() {
    // SCHED_BATCH of <sched.h>, which Swift's Glibc leaves out.
    let batch: Int32 = 3
    var parameters = sched_param()
    _ = unsafe sched_setscheduler(0, batch, &parameters)
  }

  private var canReceive: Bool { runner.withLane { $0.isUsable && $0.channel.canReceive } }

  /// True: there may be more to read at once.
  private func receive() -> Bool {
    if owner.portNumber != senderNumber {
      let port = owner.port
      sender = port.connection?.makeSender()
      senderNumber = port.number
    }
    defer { sender?.flush() }
    do throws(RingError) {
      var wasFull = false
      let drained = try ring.drain(while: {
        if !canReceive { wasFull = true }
        return !wasFull
      }) { packet, bytes in take(packet, bytes) }
      if drained.signal { runner.interruptGuest() }
      // What is left in the ring for want of room for answers comes with no further signal.
      if wasFull {
        runner.deliver()
        return canReceive
      }
      return drained.more
    } catch {
      runner.withLane { $0.fail(error) }
      return false
    }
  }

  private func take(_ packet: Packet, _ bytes: RawSpan) {
    // Spans cannot be captured by the lock's closure.
    unsafe bytes.withUnsafeBytes { bytes in
      let arrival = runner.withLane { lane in
        unsafe lane.channel.receive(packet, in: RawSpan(_unsafeBytes: bytes), memory: lane.memory)
      }
      switch arrival {
      case .settled: break
      case .control(let control): owner.control(control, from: runner)
      case .frames(var batch):
        while let count = unsafe next(of: &batch, in: bytes) { send(count) }
        let finished = batch
        runner.withLane { $0.channel.complete(finished) }
      }
    }
  }

  /// Parses the next frame and finds its bytes. nil: no more. 0: a frame that lies in too many places.
  private func next(of batch: inout TransmitBatch, in bytes: UnsafeRawBufferPointer) -> Int? {
    runner.withLane { lane -> Int? in
      let packet = unsafe RawSpan(_unsafeBytes: bytes)
      guard lane.channel.nextFrame(of: &batch, into: &frame, in: packet, memory: lane.memory) else { return nil }
      // The first piece is the header, which `send` puts in.
      var count = 1
      var found = frame.headerByteCount
      while let segment = lane.channel.nextSegment(of: &frame, in: packet) {
        guard count < Self.maximumPieces, let length = Int(exactly: segment.byteCount),
          let pointer = unsafe lane.memory.memory.pointer(to: segment.address, count: length)
        else { return 0 }
        unsafe pieces[count] = iovec(iov_base: pointer, iov_len: length)
        count += 1
        found += length
      }
      return found == frame.byteCount ? count : 0
    }
  }

  private func send(_ count: Int) {
    guard count > 0, let sender else { return }
    var offloads = FrameOffloads.none
    if frame.offloads.needsChecksum {
      offloads.checksum = .needed(start: frame.offloads.checksumStart, offset: frame.offloads.checksumOffset)
    }
    if frame.offloads.isSegmented {
      offloads.segmentation = frame.offloads.isIPv6 ? .tcp6(ecn: false) : .tcp4(ecn: false)
      offloads.segmentSize = frame.offloads.segmentSize
      offloads.headerLength = frame.offloads.headerSize
    }
    unsafe frame.header.withUnsafeBytes { header in
      unsafe pieces[0] = iovec(
        iov_base: UnsafeMutableRawPointer(mutating: header.baseAddress), iov_len: header.count)
      unsafe sender.send(
        FrameView(
          pieces: UnsafeBufferPointer(rebasing: pieces[..<count]), byteCount: frame.byteCount,
          tag: frame.tag.map { VLANTag(rawValue: $0) }, offloads: offloads))
    }
  }

  /// Once, whichever thread found the ring broken.
  private func reportFailure() {
    guard !isBroken, let failure = runner.withLane({ $0.failure }) else { return }
    isBroken = true
    owner.broke(runner.index, failure)
  }
}
