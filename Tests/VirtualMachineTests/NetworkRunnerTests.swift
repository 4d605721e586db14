// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Dispatch
import Glibc
import Partition
import ServiceProviders
import Synchronization
import Testing
import VMBus
import VirtualSwitch

@testable import VirtualMachine

/// A channel of an adapter over guest memory, with the threads that serve it.
@Suite struct NetworkRunnerTests {
  private final class Owner: NetworkRunnerOwner {
    let breaks = Mutex<[RingError]>([])
    let told = DispatchSemaphore(value: 0)

    func control(_ control: NetworkControl, from runner: NetworkRunner) {}
    var port: (connection: (any SwitchConnection)?, number: Int) { (nil, 0) }
    var portNumber: Int { 0 }
    func broke(_ channel: UInt16, _ error: RingError) {
      breaks.withLock { $0.append(error) }
      told.signal()
    }
  }

  /// Of the ring to the host.
  private static let frames: [UInt64] = [16, 17, 18, 19]
  private static let outgoing = frames.map { $0 + 16 }

  private func memory() throws -> GuestMemory {
    let memory = try GuestMemory(byteCount: 2 << 20)
    for frame in [Self.frames[0], Self.outgoing[0]] {
      unsafe RingControl(page: try #require(memory.page(frame))).initialize()
    }
    return memory
  }

  private func runner(_ memory: GuestMemory) throws -> NetworkRunner {
    var provider = NetworkProvider(
      NetworkConfiguration(address: EthernetAddress(rawValue: 0x02_0000_0000_01)), isLinkUp: true)
    var effects: [NetworkEffect] = []
    return try NetworkRunner(
      provider.channelOpened(0, effects: &effects), try OutgoingRing(memory: memory, frames: Self.outgoing),
      memory: memory, target: VPIndex(0), signal: { _ in })
  }

  /// The thread that finds the ring broken is one that brings a frame; the adapter's owner hears of it all the same, once.
  @Test func aRingFoundBrokenByAnotherThreadIsReportedOnce() throws {
    let memory = try memory()
    let owner = Owner()
    let runner = try runner(memory)
    // Nothing that the thread would find by itself: the guest's end of the other ring is in order.
    unsafe RingControl(page: try #require(memory.page(Self.outgoing[0]))).publishReadIndex(0xFFFF_FFF8)
    runner.withLane { lane in lane.channel.carryOut(.spread(NVSPSendTable(spreadOver: 1))) }
    runner.deliver()
    #expect(runner.withLane { $0.failure } != nil)
    #expect(owner.breaks.withLock { $0.isEmpty })
    try runner.start(try IncomingRing(memory: memory, frames: Self.frames, largestPacket: 8192), owner: owner)
    #expect(owner.told.wait(timeout: .now() + .seconds(20)) == .success)
    runner.deliver()
    runner.ring()
    runner.stop()
    #expect(owner.breaks.withLock { $0.count } == 1)
  }

  /// A guest that takes no answers is not read on. When it has taken some, it may be another thread that finds room for the
  /// rest, before the guest looks whether somebody waits for it: then nobody but that thread can wake the channel's.
  @Test func roomThatAnotherThreadFindsLetsTheChannelReadOn() throws {
    let memory = try memory()
    let owner = Owner()
    let runner = try runner(memory)
    let toHost = try unsafe #require(memory.page(Self.frames[0]))
    let toGuest = unsafe RingControl(page: try #require(memory.page(Self.outgoing[0])))
    var writer = try unsafe RingWriter(
      control: RingControl(page: toHost), storage: LinearRingStorage(base: toHost + 4096, byteCount: 3 << 12))
    try runner.start(try IncomingRing(memory: memory, frames: Self.frames, largestPacket: 8192), owner: owner)
    defer { runner.stop() }
    // Nonsense, each of which is answered, until nothing more of it is taken.
    let payload: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]
    let end = ContinuousClock.now + .seconds(30)
    func isFull() -> Bool { runner.withLane { !$0.channel.canReceive } }
    while !isFull(), ContinuousClock.now < end {
      do throws(RingError) {
        for _ in 0..<64 {
          try unsafe writer.write(
            type: .inBand, completionRequested: true, transactionID: 1, payload: payload.span.bytes)
        }
      } catch {}
      _ = writer.commit()
      runner.ring()
    }
    #expect(isFull())
    for _ in 0..<64 {
      try? unsafe writer.write(
        type: .inBand, completionRequested: true, transactionID: 1, payload: payload.span.bytes)
    }
    _ = writer.commit()
    // It is asleep when it no longer asks not to be signalled.
    let guest = unsafe RingControl(page: toHost)
    while guest.interruptMask != 0, ContinuousClock.now < end { usleep(1000) }
    usleep(50_000)
    #expect(guest.readIndex != guest.writeIndex)
    toGuest.publishReadIndex(toGuest.writeIndex)
    while guest.readIndex != guest.writeIndex, ContinuousClock.now < end {
      runner.deliver()
      toGuest.publishReadIndex(toGuest.writeIndex)
      usleep(1000)
    }
    #expect(guest.readIndex == guest.writeIndex)
  }
}
