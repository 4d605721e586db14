// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import DeviceProtocols
import Glibc
import Partition
import ServiceProviders
import VMBus
import VMBusHost

extension VirtualMachine {
  func description() -> MachineDescription {
    let life = life.value
    let services = services.snapshot()
    let bus = bus.picture
    var machine = MachineDescription(
      name: configuration.name, state: life.state, processID: accelerator.processID, accelerator: accelerator.name,
      acceleratorReason: accelerator.reason, processors: configuration.processors,
      memoryBytes: configuration.memory.rawValue, startedAt: life.startedAt,
      uptimeSeconds: Double(MachineClock.monotonic() &- life.startedAtMonotonic) / 1e9, resets: life.resets,
      bus: Self.describe(bus), heartbeat: heartbeat(life),
      disks: attachedDisks().map { ControlAPI.AttachedDisk($0) }, nics: attachedAdapters(),
      services: Self.statuses(services), crash: life.crash)
    machine.statistics = statistics(services, bus)
    return machine
  }

  private static func describe(_ bus: PartitionBus.Picture) -> BusDescription {
    BusDescription(
      version: bus.version.map { "\($0.rawValue >> 16).\($0.rawValue & 0xffff)" },
      channels: bus.channels.map { channel in
        ChannelDescription(
          id: channel.channel.rawValue, name: channel.description.deviceName,
          classID: channel.description.classID.text, instanceID: channel.description.instanceID.text,
          state: channel.state.model, targetProcessor: channel.targetVP.map(\.rawValue))
      })
  }

  private func heartbeat(_ life: Life) -> ControlAPI.HeartbeatStatus {
    guard let status = services.look(at: HeartbeatProvider.self, { $0.status }) else { return .init(state: .off) }
    let enabled = services.snapshot()[.heartbeat]?.enabled ?? false
    guard enabled, life.state != .paused else {
      return .init(state: .off, lastBeat: status.lastAnswer.map(Timestamp.init))
    }
    return .init(
      state: status.state.status, since: status.since == 0 ? nil : Timestamp(hostTime: status.since),
      lastBeat: status.lastAnswer.map(Timestamp.init))
  }

  static func statuses(_ services: [IntegrationService: ServiceSnapshot]) -> [ServiceStatus] {
    ServiceName.allCases.compactMap { name in services[name.service].map { status(name, $0) } }
  }

  static func status(_ name: ServiceName, _ snapshot: ServiceSnapshot) -> ServiceStatus {
    var status = ServiceStatus(name: name, enabled: snapshot.enabled, state: .offered)
    switch snapshot.state {
    case .closed: status.state = snapshot.enabled ? .offered : .disabled
    case .negotiating: status.state = .negotiating
    case .waitingForDaemon: status.state = .noDaemon
    case .unsupported:
      status.state = .failed
      status.detail = "no common protocol version"
    case .ready(let framework, let message):
      status.state = .ready
      status.frameworkVersion = framework.text
      status.version = message.text
    }
    if let broken = snapshot.broken {
      status.state = .failed
      status.detail = "the guest broke the channel's ring: \(broken)"
    } else if let worst = snapshot.counters.faults.max(by: { $0.value < $1.value }) {
      status.detail = "\(worst.value) messages dropped (\(worst.key.rawValue))"
    }
    return status
  }

  private func statistics(
    _ services: [IntegrationService: ServiceSnapshot], _ bus: PartitionBus.Picture
  ) -> [String: UInt64] {
    var counters = bus.refusals
    counters.merge(ProcessFigures.current()) { $1 }
    let partition = partition.statistics
    for (kind, count) in partition.userExits { counters["exits.\(kind)"] = count }
    for (kind, count) in partition.kernel { counters["kvm.\(kind)"] = count }
    if let legacy {
      counters.merge(legacy.statistics) { $1 }
      counters["ide.batchedWrites"] = partition.batchedPortWrites
    }
    counters.merge(network.statistics) { $1 }
    counters["serial.bytes"] = partition.serialBytesOut
    if let first = partition.initToFirstRun { counters["start.microseconds"] = first / 1000 }
    for (service, snapshot) in services {
      let name = service.controlName.rawValue
      counters["service.\(name).sent"] = snapshot.counters.sent
      counters["service.\(name).replies"] = snapshot.counters.replies
      if snapshot.counters.timeouts > 0 { counters["service.\(name).timeouts"] = snapshot.counters.timeouts }
      for (fault, count) in snapshot.counters.faults { counters["service.\(name).fault.\(fault.rawValue)"] = count }
    }
    return counters
  }
}

extension Timestamp {
  /// From 100 ns units since 1601 UTC.
  init(hostTime: UInt64) {
    self.init(nanoseconds: Int64(clamping: hostTime &- ServiceClock.unixEpoch) &* 100)
  }
}

extension ChannelSummary.State {
  var model: ChannelDescription.State {
    switch self {
    case .waiting, .offered: .offered
    case .opening: .opening
    case .open: .open
    case .rescinded: .rescinded
    }
  }
}

extension GUID {
  /// Lower-case text form.
  var text: String {
    func hex(_ value: UInt64, _ digits: Int) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    let tail = high.byteSwapped
    return [
      hex(low & 0xffff_ffff, 8), hex(low >> 32 & 0xffff, 4), hex(low >> 48, 4), hex(tail >> 48, 4),
      hex(tail & 0xffff_ffff_ffff, 12),
    ].joined(separator: "-")
  }
}
