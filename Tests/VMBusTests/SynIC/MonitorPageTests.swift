// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@Suite struct MonitorPageTests {
  /// Linux `struct hv_monitor_page`: pending bits of group n at 8 + 8 n, latencies from 0x240, parameters from 0x440.
  @Test func fieldsAreWhereTheSpecificationSays() {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { unsafe memory.deallocate() }
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
    guard let base = memory.baseAddress else { return }
    // Monitor 37 is bit 5 of group 1.
    unsafe base.storeBytes(of: 0x20, toByteOffset: 16, as: UInt32.self)
    unsafe base.storeBytes(of: 0x1234, toByteOffset: 0x240 + 2 * 37, as: UInt16.self)
    unsafe base.storeBytes(of: 0xAB01_2345, toByteOffset: 0x440 + 8 * 37, as: UInt32.self)
    let page = unsafe MonitorPage(page: base)
    #expect(page.pending(37) == 0x20 && page.pending(31) == 0)
    #expect(page.latency(37) == 0x1234 && page.latency(36) == 0)
    #expect(page.connection(37) == 0x01_2345 && page.connection(38) == 0)
    // The host's word: those above 127 are others', and inside the page.
    #expect(page.latency(165) == 0x1234 && page.pending(255) == page.pending(127))
  }

  /// A bit is taken once, by whoever looks at its group, and set without the others of the group being lost.
  @Test func aRaisedMonitorIsTakenOnce() {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { unsafe memory.deallocate() }
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
    guard let base = memory.baseAddress else { return }
    let page = unsafe MonitorPage(page: base)
    for monitor: UInt8 in [0, 37, 63, 127] { page.raise(monitor) }
    page.raise(37)
    // As Linux and DPDK find them: little-endian words at 8 + 8 n.
    #expect(unsafe base.load(fromByteOffset: 16, as: UInt32.self) == 0x8000_0020)
    #expect((0..<MonitorPage.groupCount).map { page.take(group: $0) } == [1, 0x8000_0020, 0, 0x8000_0000])
    #expect((0..<MonitorPage.groupCount).allSatisfy { page.take(group: $0) == 0 })
    // Nothing beside the pending words was touched.
    #expect(unsafe memory.allSatisfy { $0 == 0 })
    // A guest's number above 127 stays on the page.
    page.raise(255)
    #expect(page.take(group: 3) == 1 << 31)
  }
}
