// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Dispatch
import Glibc
import Partition
import ServiceClients
import ServiceProviders
import Synchronization
import TestSupport
import Testing
import VMBus
import VirtualDisks

@testable import VirtualMachine

/// The whole way of a request with all its threads: a guest's driver, small rings in guest memory, a channel's thread, the
/// drive's, image files; and back. What is looked for is a wake-up that gets lost: somebody who waits for ever.
@Suite struct StoragePathTests {
  /// The rest of a controller.
  private final class Owner: StorageRunnerOwner {
    let provider: Mutex<StorageProvider>
    let disk: StorageUnit
    let failure = Mutex<String?>(nil)

    init(_ provider: StorageProvider, _ disk: StorageUnit) {
      self.provider = Mutex(provider)
      self.disk = disk
    }

    func unit(_ number: UInt8) -> StorageUnit? { number == 0 ? disk : nil }
    var unitNumbers: SCSIUnitSet { SCSIUnitSet(rawValue: 1) }
    func control(_ control: StorageControl, on channel: inout StorageChannel) {
      var effects: [StorageEffect] = []
      provider.withLock { $0.receive(control, on: &channel, effects: &effects) }
    }
    func drained(_ channel: UInt16) {}
    func ejected(_ unit: StorageUnit) {}
    func broke(_ channel: UInt16, _ error: RingError) { failure.withLock { $0 = "\(error)" } }
  }

  /// A store without a descriptor, so that everything goes by the drive's threads, and that takes its time.
  private final class SlowStore: ByteStore {
    let inner: any ByteStore
    private let calls = Atomic<UInt64>(0)
    init(_ inner: any ByteStore) { self.inner = inner }
    private func rest() { if calls.wrappingAdd(1, ordering: .relaxed).newValue % 7 == 0 { usleep(200) } }
    var name: String { inner.name }
    var isReadOnly: Bool { inner.isReadOnly }
    var directDescriptor: Int32? { nil }
    func byteCount() throws(StoreError) -> UInt64 { try inner.byteCount() }
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
      rest()
      try unsafe inner.read(at: offset, into: buffer)
    }
    func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(StoreError) {
      rest()
      try unsafe inner.write(at: offset, from: buffer)
    }
    func flush() throws(StoreError) { usleep(500) }
    func setByteCount(_ count: UInt64) throws(StoreError) { try inner.setByteCount(count) }
    func deallocate(at offset: UInt64, count: UInt64) throws(StoreError) {
      try inner.deallocate(at: offset, count: count)
    }
  }

  private struct SlowOpener: StoreOpener {
    let inner = FileStoreOpener()
    func prepared(for path: String, _ options: ImageChain.Options) throws(ImageError) -> any StoreOpener { self }
    func open(
      _ path: String, _ mode: FileStore.Mode, _ lock: FileStore.Lock?
    ) throws(StoreError) -> any ByteStore { SlowStore(try inner.open(path, mode, lock)) }
    func find(_ path: String) -> FoundFile? { inner.find(path) }
    func holder(of path: String) -> String? { inner.holder(of: path) }
  }

  enum Kind: CaseIterable { case differencing, dynamic, vhd, raw }

  static let byteCount: UInt64 = 64 << 20

  private func image(_ kind: Kind, in folder: TemporaryFolder, isSlow: Bool) throws -> any DiskImage {
    let path = "\(folder.path)/disk.\(kind == .raw ? "img" : kind == .vhd ? "vhd" : "vhdx")"
    var creation = ImageCreation(path: path, byteCount: Self.byteCount)
    if kind != .raw { creation.blockByteCount = 1 << 20 }
    if kind == .differencing {
      var base = ImageCreation(path: "\(folder.path)/base.vhdx", byteCount: Self.byteCount)
      base.blockByteCount = 1 << 20
      try base.perform()
      creation.parentPath = base.path
      creation.byteCount = nil
    }
    try creation.perform()
    var options = ImageChain.Options()
    options.isWritable = true
    return try ImageChain.open(path, options, opener: isSlow ? SlowOpener() as any StoreOpener : FileStoreOpener())
      .image
  }

  @Test(.timeLimit(.minutes(5)), arguments: Kind.allCases, [false, true])
  func nobodyWaitsForEver(_ kind: Kind, _ isSlow: Bool) throws {
    let folder = try TemporaryFolder()
    let image = try image(kind, in: folder, isSlow: isSlow)
    let drive = Drive(
      name: "test", medium: image,
      characteristics: DriveCharacteristics(
        byteCount: Self.byteCount, discardGranularity: 4096, identifier: GUID(1, 2, 3, 4, 5)))
    // Few slots: the guest's ring is often left unread.
    let configuration = StorageConfiguration(maximumSubChannels: 1, slotsPerChannel: 24)
    let owner = Owner(StorageProvider(configuration), StorageUnit(number: 0, drive: drive))
    // Two channels share the drive, each with its own driver and place on the disk.
    var guests: [StorageDriver] = []
    for index in 0..<2 as Range<UInt16> {
      let guest = try StorageDriver(index: index)
      let runner = try StorageRunner(index: index, target: VPIndex(0))
      var effects: [StorageEffect] = []
      let channel = owner.provider.withLock { $0.channelOpened(index, effects: &effects) }
      try runner.start(
        channel, StorageDriver.hostRings(guest.memory), memory: guest.memory, slots: configuration.slotsPerChannel,
        owner: owner,
        prepare: {}, signal: { [interrupt = guest.interrupt] _ in interrupt.signal() })
      guest.runner = runner
      guests.append(guest)
      if index == 0 { try guest.handshake(wantedSubChannels: 0) }
    }
    let requests = Int(ProcessInfo.count ?? 400)
    let problems = Mutex<[String]>([])
    let done = DispatchSemaphore(value: 0)
    for guest in guests {
      guest.version = guests[0].version
      let hand = Hand(guest)
      DispatchQueue.global().async {
        if let problem = hand.guest.run(requests) { problems.withLock { $0.append(problem) } }
        done.signal()
      }
    }
    for _ in guests { done.wait() }
    #expect(problems.withLock { $0 } == [])
    #expect(owner.failure.withLock { $0 } == nil)
    // A thread that waits for ever cannot be joined.
    guard problems.withLock({ $0.isEmpty }) else { return }
    for guest in guests {
      guest.runner?.end()
      guest.runner?.join()
    }
    drive.stop()
    try image.close()
  }

  /// A driver on its way to the thread that is its own from then on.
  private struct Hand: @unchecked Sendable {
    let guest: StorageDriver
    init(_ guest: StorageDriver) { self.guest = guest }
  }

  private enum ProcessInfo {
    /// `LIS_PATH_REQUESTS`: how many requests each driver makes.
    static var count: Int? { unsafe getenv("LIS_PATH_REQUESTS").flatMap { unsafe Int(String(cString: $0)) } }
  }
}
