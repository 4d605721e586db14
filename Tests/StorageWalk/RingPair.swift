// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The memory of one channel: a ring in each direction.
@safe public final class RingPair {
  public let toHost: UnsafeMutableRawPointer
  public let toGuest: UnsafeMutableRawPointer
  public let byteCount: UInt32

  public init(byteCount: UInt32) {
    self.byteCount = byteCount
    let size = Int(byteCount) + RingControl.byteCount
    unsafe toHost = .allocate(byteCount: size, alignment: 4096)
    unsafe toGuest = .allocate(byteCount: size, alignment: 4096)
    unsafe toHost.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    unsafe toGuest.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    unsafe RingControl(page: toHost).initialize()
    unsafe RingControl(page: toGuest).initialize()
  }

  deinit {
    unsafe toHost.deallocate()
    unsafe toGuest.deallocate()
  }

  public typealias Reader = RingReader<LinearRingStorage>
  public typealias Writer = RingWriter<LinearRingStorage>

  /// Which end's view: the guest writes what the host reads.
  public enum End { case host, guest }

  public func reader(_ end: End) -> Reader {
    let ring = unsafe end == .host ? toHost : toGuest
    do throws(RingError) {
      return unsafe try Reader(control: RingControl(page: ring), storage: storage(ring))
    } catch {
      preconditionFailure("a fresh ring is sound")
    }
  }

  public func writer(_ end: End) -> Writer {
    let ring = unsafe end == .host ? toGuest : toHost
    do throws(RingError) {
      return unsafe try Writer(control: RingControl(page: ring), storage: storage(ring))
    } catch {
      preconditionFailure("a fresh ring is sound")
    }
  }

  private func storage(_ ring: UnsafeMutableRawPointer) -> LinearRingStorage {
    unsafe LinearRingStorage(base: ring + RingControl.byteCount, byteCount: byteCount)
  }
}
