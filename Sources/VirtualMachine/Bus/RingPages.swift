// SPDX-License-Identifier: Apache-2.0

import Partition
import VMBus

/// The host's addresses of a ring's pages, header page first. Ends with its ring.
@safe
final class RingPages {
  private let table: UnsafeMutablePointer<UnsafeMutableRawPointer>
  private let count: Int

  init(_ frames: [UInt64], _ memory: GuestMemory) throws(RingError) {
    guard frames.count >= 2 else { throw .corrupt(.dataSize(0)) }
    count = frames.count
    unsafe table = .allocate(capacity: frames.count)
    for (index, frame) in frames.enumerated() {
      guard let page = unsafe memory.page(frame) else { throw .corrupt(.dataSize(0)) }
      unsafe (table + index).initialize(to: page)
    }
  }

  deinit { unsafe table.deallocate() }

  var control: RingControl { unsafe RingControl(page: table[0]) }
  var storage: PagedRingStorage { unsafe PagedRingStorage(pages: table + 1, pageCount: count - 1) }
}
