// SPDX-License-Identifier: Apache-2.0

import CUtils
import DeviceProtocols
import KernelSupport
import ServiceClients
import VMBus

/// One service's end of its protocol, in memory of its own and of its own type: an enum of the six would be copied out
/// and in for every packet.
@safe
struct ServiceMachine: ~Copyable {
  private let kind: IntegrationService
  private let memory: KernelBuffer

  /// The largest of them has less; `room` says so when that changes.
  private static var capacity: Int { 512 }

  /// `nil`: no memory.
  static func make(_ service: IntegrationService) -> ServiceMachine? {
    guard let memory = KernelBuffer(byteCount: capacity) else { return nil }
    let machine = ServiceMachine(service: service, memory: memory)
    machine.begin()
    return machine
  }

  /// A new machine: when the service is made, and for every channel.
  func begin() {
    switch service {
    case .heartbeat: unsafe heartbeat.initialize(to: HeartbeatClient())
    case .shutdown: unsafe shutdown.initialize(to: ShutdownClient(hibernates: utils_hibernates()))
    case .timeSynchronization: unsafe time.initialize(to: TimeSynchronizationClient())
    case .keyValuePair: unsafe keyValuePair.initialize(to: KeyValuePairClient())
    case .volumeSnapshot: unsafe snapshot.initialize(to: VolumeSnapshotClient())
    case .fileCopy: unsafe fileCopy.initialize(to: FileCopyClient())
    }
  }

  private init(service: IntegrationService, memory: consuming KernelBuffer) {
    kind = service
    self.memory = memory
  }

  @inline(__always)
  var service: IntegrationService {
    #if NO_FILE_COPY
      // No device of the kind is bound; so the compiler leaves out what would serve it.
      if kind == .fileCopy { return .heartbeat }
    #endif
    return kind
  }

  /// The machines are plain values: nothing has to be ended before the memory goes.
  private func room<Machine>(_: Machine.Type) -> UnsafeMutablePointer<Machine> {
    precondition(MemoryLayout<Machine>.stride <= Self.capacity)
    return unsafe memory.base.assumingMemoryBound(to: Machine.self)
  }

  // Only the one of `service` is there.
  var heartbeat: UnsafeMutablePointer<HeartbeatClient> { unsafe room(HeartbeatClient.self) }
  var shutdown: UnsafeMutablePointer<ShutdownClient> { unsafe room(ShutdownClient.self) }
  var time: UnsafeMutablePointer<TimeSynchronizationClient> { unsafe room(TimeSynchronizationClient.self) }
  var keyValuePair: UnsafeMutablePointer<KeyValuePairClient> { unsafe room(KeyValuePairClient.self) }
  var snapshot: UnsafeMutablePointer<VolumeSnapshotClient> { unsafe room(VolumeSnapshotClient.self) }
  var fileCopy: UnsafeMutablePointer<FileCopyClient> { unsafe room(FileCopyClient.self) }

  /// What the host and the machine agreed on.
  var version: ServiceVersion? {
    switch service {
    case .heartbeat: unsafe heartbeat.pointee.link.message
    case .shutdown: unsafe shutdown.pointee.link.message
    case .timeSynchronization: unsafe time.pointee.link.message
    case .keyValuePair: unsafe keyValuePair.pointee.link.message
    case .volumeSnapshot: unsafe snapshot.pointee.link.message
    case .fileCopy: unsafe fileCopy.pointee.link.message
    }
  }

  /// A packet of the host, to be answered in place now or later.
  @_lifetime(packet: copy packet)
  func receive(_ packet: inout MutableRawSpan) throws(ClientFault) -> ClientAnswer {
    switch service {
    case .heartbeat: try unsafe heartbeat.pointee.receive(&packet)
    case .shutdown: try unsafe shutdown.pointee.receive(&packet)
    case .timeSynchronization: try unsafe time.pointee.receive(&packet, referenceTime: utils_reference_time())
    case .keyValuePair: try unsafe keyValuePair.pointee.receive(&packet)
    case .volumeSnapshot: try unsafe snapshot.pointee.receive(&packet)
    case .fileCopy: try unsafe fileCopy.pointee.receive(&packet)
    }
  }

  /// Answers what a daemon was to do.
  @_lifetime(packet: copy packet)
  func answer(_ status: IntegrationStatus, in packet: inout MutableRawSpan) throws(ClientFault) {
    switch service {
    case .keyValuePair: try unsafe keyValuePair.pointee.answer(status, in: &packet)
    case .volumeSnapshot: try unsafe snapshot.pointee.answer(status, in: &packet)
    case .fileCopy: try unsafe fileCopy.pointee.answer(status, in: &packet)
    case .heartbeat, .shutdown, .timeSynchronization: throw .notOutstanding
    }
  }
}
