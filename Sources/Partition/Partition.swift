// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Synchronization
import VMBus

/// A KVM virtual machine that looks like a Hyper-V partition to Linux.
///
/// Threads: one per processor (`vp0`…) in KVM_RUN, and `synic`, which watches for freed message slots and carries serial
/// output. All public methods may be called from any thread but those two kinds.
public final class Partition: Sendable {
  public let memory: GuestMemory
  public let processors: Int

  /// Opens files, builds the machine, loads the kernel. No processor runs yet.
  public init(_ configuration: PartitionConfiguration, delegate: any PartitionDelegate) throws(PartitionError) {
    memory = try GuestMemory(byteCount: configuration.memoryBytes)
    processors = configuration.processors
  }

  /// Lets the processors run.
  public func start() throws(PartitionError) {}
  /// Returns when every processor has left the guest and the reference time stands still.
  public func pause() throws(PartitionError) {}
  public func resume() throws(PartitionError) {}
  /// Reloads the kernel and starts again, from any state but stopped. The delegate's bus must be reset by its owner
  /// between the guest's end and this call; doorbells must be unbound.
  public func reset() throws(PartitionError) {}
  /// Ends and joins all threads. The object is of no further use. May be called twice.
  public func stop() {}
  public func injectNMI() throws(PartitionError) {}

  /// Writes one message (payload at most 240 bytes) to the slot of SINT2 and raises it. false: the slot is busy or not
  /// enabled; `messageSlotFreed` follows.
  public func postSynICMessage(_ payload: RawSpan, to vp: UInt32) -> Bool { false }
  /// Sets an event flag (a channel's relid) and raises SINT2 if it was clear. Any thread. Kept while the guest has no
  /// event page.
  public func signalSynICEvent(flag: UInt32, vp: UInt32) {}
  /// Lets guest signals on `connection` increment `eventFD` without leaving the kernel.
  public func bindDoorbell(connection: UInt32, eventFD: Int32) throws(PartitionError) {}
  public func unbindDoorbell(connection: UInt32, eventFD: Int32) {}

  /// The guest's reference time (TIME_REF_COUNT), 100 ns units.
  public var referenceTime: UInt64 { 0 }
  /// Offers bytes to the serial port's receiver; returns how many fitted into its bounded queue.
  @discardableResult public func serialInput(_ bytes: [UInt8]) -> Int { 0 }
  public var statistics: PartitionStatistics { PartitionStatistics() }
}
