// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import DeviceProtocols
import Dispatch
import ServiceProviders
import Synchronization
import VMBus
import VMBusHost
import VirtualSwitch

/// All synthetic network adapters of a machine, and the small switches between them and the ways out that they are plugged
/// into. Adapters with the same way out share one.
///
/// Changes come from control threads and may block; one at a time, under `changes`.
final class NetworkGroup: Sendable {
  private struct Entry {
    var configuration: NetworkAdapterConfiguration
    let device: NetworkAdapterDevice
  }

  /// A switch of this process with one way out, and how many adapters use it.
  private struct Way {
    let engine: SwitchEngine
    var users: Int
  }

  private struct State {
    var entries: [Entry] = []
    var isStopped = false
  }

  private let machine: String
  private let processors: Int
  private let place: NetworkPlace
  private let port: PartitionPort
  private let events: EventLog
  private let state = Mutex(State())
  private let changes = Mutex<[NetworkWay: Way]>([:])
  private let bus = AtomicLazyReference<PartitionBus>()
  /// What channels' threads report, they report under locks.
  private let reports = DispatchQueue(label: "swift-lis.network-reports")

  init(machine: String, processors: Int, place: NetworkPlace, port: PartitionPort, events: EventLog) {
    self.machine = machine
    self.processors = processors
    self.place = place
    self.port = port
    self.events = events
  }

  // MARK: The machine's life

  /// Makes every adapter and plugs it in; nothing is offered yet. After an error nothing is left open.
  func open(_ adapters: [NetworkAdapterConfiguration]) throws(ControlError) {
    do throws(ControlError) {
      for adapter in adapters { try add(adapter) }
    } catch {
      stop()
      throw error
    }
  }

  /// Puts the adapters on the bus.
  func offer(on bus: PartitionBus) {
    _ = self.bus.storeIfNil(bus)
    for entry in state.withLock({ $0.entries }) { offer(entry.device, on: bus) }
  }

  private func offer(_ device: NetworkAdapterDevice, on bus: PartitionBus) {
    do throws(BusServerError) {
      try device.offer(on: bus)
    } catch {
      events.record(.network, "\(device.name) not offered: \(error)", details: ["adapter": device.name])
    }
  }

  /// The machine was reset; the channels were closed before.
  func reset() { for entry in state.withLock({ $0.entries }) { entry.device.reset() } }

  /// Unplugs every adapter. The bus was reset before.
  func stop() {
    let entries = state.withLock { state in
      state.isStopped = true
      defer { state.entries.removeAll() }
      return state.entries
    }
    changes.withLock { ways in
      for entry in entries { unplug(entry, &ways) }
    }
  }

  // MARK: Adapters

  @discardableResult
  func add(_ adapter: NetworkAdapterConfiguration) throws(ControlError) -> NetworkAdapterReport {
    try changes.withLock { ways throws(ControlError) in
      let entries = state.withLock { $0.entries }
      guard entries.count < NetworkAdapterConfiguration.maximumCount else {
        throw ControlError(
          .wrongState, "the machine has \(entries.count) network adapters already", remedy: "remove one of them first")
      }
      guard !entries.contains(where: { $0.configuration.name == adapter.name }) else {
        throw ControlError(.alreadyExists, "a network adapter named \(adapter.name) is there already")
      }
      guard !entries.contains(where: { $0.configuration.address == adapter.address }) else {
        throw ControlError(.alreadyExists, "another network adapter has the address \(adapter.address)")
      }
      var configuration = NetworkConfiguration(
        address: EthernetAddress(rawValue: adapter.address.rawValue), maximumMTU: UInt32(adapter.maximumPayload),
        maximumSubChannels: UInt16(max(0, (adapter.channels ?? processors) - 1)))
      configuration.allowsAddressChange = adapter.allowsSpoofing
      let name = adapter.name
      let device = NetworkAdapterDevice(
        configuration, name: name, instanceID: .networkAdapter(machine, name), port: port,
        bus: { [weak self] in self?.bus.load() }, report: { [weak self] in self?.handle($0, of: name) })
      let entry = Entry(configuration: adapter, device: device)
      try plug(entry, &ways)
      let isStopped = state.withLock { state in
        if !state.isStopped { state.entries.append(entry) }
        return state.isStopped
      }
      guard !isStopped else {
        unplug(entry, &ways)
        throw ControlError(.wrongState, "the machine is ending")
      }
      if let bus = bus.load() { offer(device, on: bus) }
      return report(entry)
    }
  }

  func remove(_ name: String) throws(ControlError) {
    try changes.withLock { ways throws(ControlError) in
      let entry = try find(name)
      state.withLock { state in state.entries.removeAll { $0.device === entry.device } }
      if let bus = bus.load() { entry.device.withdraw(from: bus) }
      unplug(entry, &ways)
    }
  }

  /// Plugs an adapter into something else, or (`none`) into nothing.
  func connect(_ name: String, to connection: NetworkConnection) throws(ControlError) -> NetworkAdapterReport {
    try change(name) { $0.connection = connection }
  }

  func setVLAN(_ vlan: VLANMode, of name: String) throws(ControlError) -> NetworkAdapterReport {
    try change(name) { $0.vlan = vlan }
  }

  /// Unplugs it, and plugs it in as it is to be. When that fails it is put back as it was.
  private func change(
    _ name: String, _ change: (inout NetworkAdapterConfiguration) -> Void
  ) throws(ControlError) -> NetworkAdapterReport {
    try changes.withLock { ways throws(ControlError) in
      let old = try find(name)
      var new = old
      change(&new.configuration)
      if new.configuration.connection == old.configuration.connection, let connection = old.device.port.connection {
        do throws(SwitchError) { try connection.set(new.configuration.portSettings) } catch {
          throw ControlError(error)
        }
      } else {
        unplug(old, &ways)
        do throws(ControlError) {
          try plug(new, &ways)
        } catch {
          try? plug(old, &ways)
          throw error
        }
      }
      state.withLock { state in
        if let index = state.entries.firstIndex(where: { $0.device === new.device }) { state.entries[index] = new }
      }
      return report(new)
    }
  }

  private func find(_ name: String) throws(ControlError) -> Entry {
    guard let entry = state.withLock({ $0.entries.first { $0.configuration.name == name } }) else {
      throw ControlError(
        .notFound, "no network adapter named \(name)", remedy: "`lis vm nic list` shows what there is")
    }
    return entry
  }

  // MARK: Plugs

  private func plug(_ entry: Entry, _ ways: inout [NetworkWay: Way]) throws(ControlError) {
    let configuration = entry.configuration
    guard let way = NetworkWay(configuration) else { return }
    do throws(SwitchError) {
      let engine = try engine(way, configuration, &ways)
      do throws(SwitchError) {
        _ = try entry.device.connect { sink, capabilities throws(SwitchError) in
          try engine.connect(configuration.name, configuration.portSettings, capabilities: capabilities, sink: sink)
        }
      } catch {
        release(way, &ways)
        throw error
      }
    } catch {
      throw ControlError(error)
    }
    entry.device.setLink(isUp: true)
  }

  private func unplug(_ entry: Entry, _ ways: inout [NetworkWay: Way]) {
    let old = try? entry.device.connect { _, _ in nil }
    guard let old else { return }
    old.disconnect()
    entry.device.setLink(isUp: false)
    if let way = NetworkWay(entry.configuration) { release(way, &ways) }
  }

  /// The switch with this way out, made when nobody has it yet.
  private func engine(
    _ way: NetworkWay, _ configuration: NetworkAdapterConfiguration, _ ways: inout [NetworkWay: Way]
  ) throws(SwitchError) -> SwitchEngine {
    if let known = ways[way] {
      ways[way] = Way(engine: known.engine, users: known.users + 1)
      return known.engine
    }
    let engine = SwitchEngine(name: "\(way.connection)")
    let uplink = try place.uplink(way, configuration)
    try engine.add(uplink, named: "uplink", .uplink(maximumPayload: NetworkAdapterConfiguration.payloads.upperBound))
    ways[way] = Way(engine: engine, users: 1)
    return engine
  }

  private func release(_ way: NetworkWay, _ ways: inout [NetworkWay: Way]) {
    guard var known = ways[way] else { return }
    known.users -= 1
    ways[way] = known.users > 0 ? known : nil
    if known.users == 0 { known.engine.stop() }
  }

  // MARK: To look at

  func list() -> [NetworkAdapterReport] { state.withLock { $0.entries }.map { report($0) } }

  /// What the adapters and their ports have counted.
  var statistics: [String: UInt64] {
    var counters: [String: UInt64] = [:]
    for entry in state.withLock({ $0.entries }) {
      let name = "nic.\(entry.configuration.name)"
      let figures = entry.device.statistics
      counters["\(name).sentFrames"] = figures.transmittedFrames
      counters["\(name).sentBytes"] = figures.transmittedBytes
      counters["\(name).receivedFrames"] = figures.receivedFrames
      counters["\(name).receivedBytes"] = figures.receivedBytes
      counters["\(name).sendErrors"] = figures.transmitErrors
      counters["\(name).receiveErrors"] = figures.receiveErrors
      counters["\(name).withoutBuffer"] = figures.withoutBuffer
    }
    let engines = changes.withLock { $0.values.map(\.engine) }
    for engine in engines {
      for port in engine.ports() {
        let name = port.kind == .uplink ? "switch.\(engine.name).uplink" : "nic.\(port.name)"
        for reason in DropReason.allCases where port.counters.dropped(reason) > 0 {
          counters["\(name).dropped.\(reason.name)"] = port.counters.dropped(reason)
        }
      }
    }
    return counters
  }

  private func report(_ entry: Entry) -> NetworkAdapterReport {
    NetworkAdapterReport(
      configuration: entry.configuration, isLinkUp: entry.device.isLinkUp, channels: entry.device.channelCount,
      settings: entry.device.settings, statistics: entry.device.statistics)
  }

  private func handle(_ report: NetworkReport, of name: String) {
    reports.async { [self] in
      switch report {
      case .addressChanged(let address):
        let text = "\(MACAddress(rawValue: address.rawValue))"
        events.record(.network, "\(name): the guest has taken the address \(text)", details: ["adapter": name])
      case .channelBroken(let index, let error):
        events.record(.refusal, "\(name): channel \(index) is broken: \(error)", details: ["adapter": name])
      case .subChannelNotOffered(let error):
        events.record(.network, "\(name): a sub-channel was not offered: \(error)", details: ["adapter": name])
      }
    }
  }
}

/// An adapter as it stands.
struct NetworkAdapterReport: Sendable {
  var configuration: NetworkAdapterConfiguration
  var isLinkUp: Bool
  var channels: Int
  var settings: NetworkSettings
  var statistics: NetworkStatistics
}

extension GUID {
  /// The same for the same names: a guest's udev keeps an interface's settings by it.
  static func networkAdapter(_ machine: String, _ adapter: String) -> GUID {
    .derived(from: "network adapter \(machine)/\(adapter)")
  }
}
