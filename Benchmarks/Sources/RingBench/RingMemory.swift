// SPDX-License-Identifier: Apache-2.0

import CRingPair
import VMBus

/// Memory of one ring, header page first, as both the Swift and the C ring want it.
@safe final class RingMemory {
  static let dataByteCount: UInt32 = 64 << 10
  let base: UnsafeMutableRawPointer
  /// The pages of the data area, in order: what a GPADL gives.
  let pages: UnsafeMutablePointer<UnsafeMutableRawPointer>

  init() {
    let count = Int(Self.dataByteCount)
    unsafe base = .allocate(byteCount: 4096 + count, alignment: 4096)
    unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: 4096 + count)
    unsafe pages = .allocate(capacity: count / 4096)
    for page in 0..<count / 4096 { unsafe (pages + page).initialize(to: base + 4096 + page * 4096) }
    unsafe RingControl(page: base).initialize()
  }

  deinit {
    unsafe base.deallocate()
    unsafe pages.deallocate()
  }

  var control: RingControl { unsafe RingControl(page: base) }
  var linear: LinearRingStorage { unsafe LinearRingStorage(base: base + 4096, byteCount: Self.dataByteCount) }
  var paged: PagedRingStorage { unsafe PagedRingStorage(pages: pages, pageCount: Int(Self.dataByteCount) / 4096) }

  /// The C ring's view of the same memory.
  func cRing() -> vmbus_br {
    var ring = unsafe vmbus_br()
    unsafe c_ring_setup(&ring, base, 4096 + Self.dataByteCount)
    return unsafe ring
  }
}
