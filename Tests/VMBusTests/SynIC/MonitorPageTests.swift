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
}
