// SPDX-License-Identifier: Apache-2.0

/// Why the guest's processors stopped for good. They stay stopped until `Partition.reset()` or `stop()`.
public enum PartitionEnd: Equatable, Sendable {
  /// The guest entered ACPI S5.
  case powerOff
  /// The guest asked for a reset: reset register, keyboard controller or Hyper-V's reset MSR.
  case reset
  /// A processor shut down: a triple fault, also a kernel's last means to reboot.
  case tripleFault
  /// The machine cannot go on; the text says why.
  case failed(String)
}

/// What a guest that has crashed said in its crash registers (HV_X64_MSR_CRASH_P0–P4).
public struct CrashReport: Equatable, Sendable {
  /// P0–P4 as the guest wrote them. Linux without a text: error, guest OS id, IP, AX, SP.
  public var parameters: [UInt64]
  /// The end of the kernel's log if the guest gave one (P3 address, P4 length), at most a page. Not trusted: it may
  /// contain any bytes; invalid UTF-8 is replaced.
  public var text: String?

  public init(parameters: [UInt64], text: String? = nil) {
    self.parameters = parameters
    self.text = text
  }
}

/// The owner of a partition. All methods are called on processor threads or the partition's own service threads: they
/// must not block and must not call `pause`, `resume`, `reset` or `stop`. The partition does not retain its delegate.
public protocol PartitionDelegate: AnyObject, Sendable {
  /// HvPostMessage. `payload` (at most 240 bytes) is a private copy. Returns the raw HypercallStatus.
  func postMessage(connection: UInt32, messageType: UInt32, payload: RawSpan) -> UInt16
  /// HvSignalEvent that no doorbell took. Returns the raw HypercallStatus.
  func signalEvent(connection: UInt32, flag: UInt16) -> UInt16
  /// A message slot that `postSynICMessage` found busy may be free now (end of message, or message page enabled).
  func messageSlotFreed(vp: UInt32)
  /// Once per run: the processors have stopped or are about to.
  func partitionDidEnd(_ end: PartitionEnd)
  /// The guest reported a crash. It may come more than once per crash, first without, then with the text.
  func guestCrashed(_ report: CrashReport)
}
