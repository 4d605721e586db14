// SPDX-License-Identifier: Apache-2.0

import Partition
import Testing
import VMBus

@testable import VirtualMachine

/// The host's rings over guest memory, with the guest's end of the same rings beside them.
@Suite struct ChannelRingsTests {
  private static let incoming: [UInt64] = [16, 17, 18, 19]
  private static let outgoing: [UInt64] = [32, 33, 34, 35]

  private struct NoPage: Error {}

  private static func page(_ memory: GuestMemory, _ frame: UInt64) throws -> UnsafeMutableRawPointer {
    guard let page = unsafe memory.page(frame) else { throw NoPage() }
    return unsafe page
  }

  private func memory() throws -> GuestMemory {
    let memory = try GuestMemory(byteCount: 2 << 20)
    for frame in [Self.incoming[0], Self.outgoing[0]] {
      let page = try unsafe Self.page(memory, frame)
      unsafe RingControl(page: page).initialize()
    }
    return memory
  }

  private func rings(_ memory: GuestMemory) throws -> ChannelRings {
    try ChannelRings(memory: memory, incoming: Self.incoming, outgoing: Self.outgoing, largestPacket: 16384)
  }

  /// Puts packets into the guest's ring until it is full. Returns how many.
  private func fill(_ memory: GuestMemory) throws -> Int {
    let page = try unsafe Self.page(memory, Self.incoming[0])
    var writer = try unsafe RingWriter(
      control: RingControl(page: page),
      storage: LinearRingStorage(base: page + 4096, byteCount: UInt32(Self.incoming.count - 1) << 12))
    var count = 0
    let payload: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
    while true {
      do throws(RingError) {
        try unsafe writer.write(
          type: .inBand, completionRequested: false, transactionID: UInt64(count), descriptorTail: RawSpan(),
          payload: payload.span.bytes)
        count += 1
      } catch {
        _ = writer.commit()
        return count
      }
    }
  }

  @Test func aFloodIsTakenInBatches() throws {
    let memory = try memory()
    let rings = try rings(memory)
    let sent = try fill(memory)
    #expect(sent > 2 * IncomingRing.batchLimit)
    var seen: [UInt64] = []
    var turns = 0
    while true {
      let drained = try rings.drain { packet, _ in seen.append(packet.transactionID) }
      turns += 1
      guard drained.more else { break }
      #expect(seen.count == turns * IncomingRing.batchLimit)
    }
    #expect(seen == (0..<UInt64(sent)).map { $0 })
  }

  /// While somebody looks by himself, the guest is not to signal; what came behind his last look he hears of.
  @Test func aMaskedRingStaysMaskedUntilItIsUnmasked() throws {
    let memory = try memory()
    let ring = try IncomingRing(memory: memory, frames: Self.incoming, largestPacket: 16384)
    let guest = try unsafe RingControl(page: Self.page(memory, Self.incoming[0]))
    ring.mask()
    #expect(guest.interruptMask == 1)
    let sent = try fill(memory)
    var count = 0
    while try ring.drain({ _, _ in count += 1 }).more {}
    #expect(count == sent)
    #expect(guest.interruptMask == 1 && !ring.hasMore)
    #expect(try fill(memory) > 0)
    #expect(ring.unmask() && ring.hasMore)
    #expect(guest.interruptMask == 0)
    while try ring.drain({ _, _ in count += 1 }).more {}
    ring.mask()
    #expect(!ring.unmask())
  }

  @Test func framesOutsideMemoryAreNoRing() throws {
    let memory = try memory()
    #expect(throws: RingError.self) {
      try ChannelRings(memory: memory, incoming: [16, 1 << 40], outgoing: Self.outgoing, largestPacket: 4096)
    }
    #expect(throws: RingError.self) {
      try ChannelRings(memory: memory, incoming: [16], outgoing: Self.outgoing, largestPacket: 4096)
    }
  }

  @Test func aForgedIndexIsAnErrorOnceOpen() throws {
    let memory = try memory()
    let rings = try rings(memory)
    let page = try unsafe Self.page(memory, Self.incoming[0])
    unsafe RingControl(page: page).publishWriteIndex(0xFFFF_FFF8)
    #expect(throws: RingError.corrupt(.writeIndex(0xFFFF_FFF8))) { try rings.drain { _, _ in } }
  }

  @Test func aNameAlwaysGivesTheSameMachine() {
    #expect(ServiceCatalogue.machineID("web") == ServiceCatalogue.machineID("web"))
    #expect(ServiceCatalogue.machineID("web") != ServiceCatalogue.machineID("web2"))
  }
}
