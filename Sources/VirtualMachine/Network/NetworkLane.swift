// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Glibc
import Partition
import ServiceProviders
import VMBus
import VirtualSwitch

/// What a channel's thread and those that bring frames share: the channel and the ring to the guest. Under the runner's
/// lock, which is held for one frame at a time, and never while a switch is called.
struct NetworkLane: ~Copyable {
  var channel: NetworkChannel
  let ring: OutgoingRing
  let memory: GuestNetworkMemory
  /// How the guest broke a ring of the channel, for the channel's thread to report.
  private(set) var failure: RingError?
  private var isClosed = false

  /// Whether anything may still use the rings.
  var isUsable: Bool { failure == nil && !isClosed }

  mutating func close() { isClosed = true }

  /// The first failure stays.
  mutating func fail(_ error: RingError) { if failure == nil { failure = error } }

  init(channel: consuming NetworkChannel, ring: OutgoingRing, memory: GuestNetworkMemory) {
    self.channel = channel
    self.ring = ring
    self.memory = memory
  }

  /// Copies a frame into the guest's receive buffer. It is announced with the next `deliver`.
  mutating func accept(_ frame: FrameView, hash: UInt32?) -> Bool {
    guard isUsable, let first = unsafe frame.pieces.first else { return false }
    var arrival = ReceiveFrame(byteCount: frame.byteCount, tag: frame.tag?.rawValue, hash: hash)
    switch frame.offloads.checksum {
    case .none: break
    case .needed: arrival.checksum = .partial
    case .verified: arrival.checksum = .good
    }
    do throws(ReceiveRefusal) {
      let header = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(first.iov_base), byteCount: first.iov_len)
      var placement = try channel.begin(arrival, header: header, memory: memory)
      guard fill(&placement, from: frame) else {
        channel.cancel(placement)
        return false
      }
      channel.finish(placement)
      return true
    } catch {
      return false
    }
  }

  /// Both sides are runs of memory of their own lengths.
  private func fill(_ placement: inout ReceivePlacement, from frame: FrameView) -> Bool {
    var piece = 0
    var done = 0
    while let segment = channel.nextSegment(of: &placement) {
      guard let count = Int(exactly: segment.byteCount),
        let target = unsafe memory.memory.pointer(to: segment.address, count: count)
      else { return false }
      var at = 0
      while at < count {
        guard unsafe piece < frame.pieces.count else { return false }
        let source = unsafe frame.pieces[piece]
        let step = unsafe min(count &- at, source.iov_len &- done)
        if step > 0, let base = unsafe source.iov_base { unsafe memcpy(target + at, base + done, step) }
        at &+= step
        done &+= step
        if unsafe done == source.iov_len {
          piece &+= 1
          done = 0
        }
      }
    }
    return true
  }

  /// Puts what waits into the ring. The result says whether to signal the guest; a broken ring is in `failure`.
  mutating func deliver() -> Bool {
    guard isUsable, channel.hasAnswers else { return false }
    do throws(RingError) {
      return try channel.deliver(to: &ring.writer, memory: memory).signal
    } catch {
      fail(error)
      return false
    }
  }
}
