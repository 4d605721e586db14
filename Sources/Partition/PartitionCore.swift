// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Synchronization

/// What the processors' threads share: devices, interrupt controllers, the owner. `Partition` builds and steers it.
final class PartitionCore: Sendable {
  let memory: GuestMemory
  let machine: VirtualMachineDescriptor
  let control: RunControl
  let synic: [SynICProcessor]
  let serial: SerialPort?
  let ports: PlatformPorts
  let devices: (any PortDevices)?
  /// Set before a processor runs.
  let batchedWrites = AtomicLazyReference<BatchedWrites>()
  unowned let delegate: any PartitionDelegate
  private let firstRun = Atomic<UInt64>(0)

  init(
    memory: GuestMemory, machine: VirtualMachineDescriptor, processors: Int, hasSerial: Bool,
    devices: (any PortDevices)?, delegate: any PartitionDelegate
  ) throws(PartitionError) {
    self.memory = memory
    self.machine = machine
    self.delegate = delegate
    control = try RunControl(processors: processors)
    var synic: [SynICProcessor] = []
    for index in 0..<processors { synic.append(try SynICProcessor(index: index, memory: memory)) }
    self.synic = synic
    serial = hasSerial ? try SerialPort(machine) : nil
    ports = PlatformPorts(serial: serial, hasPCI: devices != nil)
    self.devices = devices
  }

  /// The guest's end, met by a processor.
  func end(_ end: PartitionEnd) {
    if control.end(end) { delegate.partitionDidEnd(end) }
  }

  func noteFirstRun() {
    if firstRun.load(ordering: .relaxed) == 0 {
      _ = firstRun.compareExchange(expected: 0, desired: Self.monotonic(), ordering: .relaxed)
    }
  }

  /// CLOCK_MONOTONIC at the first KVM_RUN, nil before it.
  var firstRunTime: UInt64? {
    let time = firstRun.load(ordering: .relaxed)
    return time == 0 ? nil : time
  }

  static func monotonic() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }

  /// On the processor's own thread. `hasText` nil: unknown, then the parameters tell.
  func reportCrash(from processor: VirtualProcessor, hasText: Bool?) {
    let parameters = processor.readMSRs((0..<5).map { MSR.crashParameter0.rawValue + $0 })
    delegate.guestCrashed(CrashReport(parameters: parameters, hasText: hasText, memory: memory))
  }
}

extension CrashReport {
  /// Linux puts nothing into P0–P2 when P3 and P4 name a text.
  init(parameters: [UInt64], hasText: Bool?, memory: GuestMemory) {
    self.init(parameters: parameters)
    guard parameters.count == 5 else { return }
    let likely = hasText ?? (parameters[0] == 0 && parameters[1] == 0 && parameters[2] == 0)
    guard likely, parameters[4] > 0 else { return }
    let count = Int(min(parameters[4], UInt64(GuestMemory.pageSize)))
    guard let bytes = try? memory.read(parameters[3], count: count) else { return }
    text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}
