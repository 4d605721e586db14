// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import DeviceProtocols
import Dispatch
import ServiceProviders
import Synchronization
import VMBus
import VMBusHost
import VirtualSwitch

/// All network adapters of a machine, synthetic and emulated, and the small switches between them and the ways out that
/// they are plugged into. Adapters with the same way out share one.
///
/// Changes come from control threads and may block; one at a time, under `changes`.
final class NetworkGroup: Sendable {
  struct Entry {
    var configuration: NetworkAdapterConfiguration
    let device: any NetworkDevice
    /// The switch that it has a port of, or (`isLinkDown`) is to have one of again; nil: it is connected to nothing.
    var engine: SwitchEngine?
    /// Its cable was taken out, on request.
    var isLinkDown = false
    /// Where its port is captured to.
    var capture: String?
  }

  /// A switch of this process with one way out, and how many adapters use it.
  struct Way {
    let engine: SwitchEngine
    var users: Int
    var maximumPayload: Int
  }

  struct State {
    var entries: [Entry] = []
    var isStopped = false
  }

  /// Cannot be an adapter's, which has no space in it.
  private static let uplinkName = "way out"

  private let machine: String
  private let processors: Int
  let place: NetworkPlace
  private let port: PartitionPort
  let events: EventLog
  let state = Mutex(State())
  let changes = Mutex<[NetworkWay: Way]>([:])
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

  /// Makes every synthetic adapter and plugs all in; nothing is offered yet. `emulated` are there already, by their
  /// names. After an error nothing is left open.
  func open(
    _ adapters: [NetworkAdapterConfiguration], emulated: [any NetworkDevice] = []
  ) throws(ControlError) {
    do throws(ControlError) {
      for adapter in adapters { try add(adapter, emulated.first { adapter.isLegacy && $0.name == adapter.name }) }
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

  private func offer(_ device: any NetworkDevice, on bus: PartitionBus) {
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
    state.withLock { $0.isStopped = true }
    changes.withLock { ways in
      let entries = state.withLock { state in
        defer { state.entries.removeAll() }
        return state.entries
      }
      for entry in entries { unplug(entry, &ways) }
    }
  }

  // MARK: Adapters

  /// `device`: an emulated one, which was made with the machine.
  @discardableResult
  func add(
    _ adapter: NetworkAdapterConfiguration, _ device: (any NetworkDevice)? = nil
  ) throws(ControlError) -> NetworkAdapterReport {
    try changes.withLock { ways throws(ControlError) in
      let entries = state.withLock { $0.entries }
      let count = entries.count { !$0.configuration.isLegacy }
      guard adapter.isLegacy || count < NetworkAdapterConfiguration.maximumCount else {
        throw ControlError(
          .wrongState, "the machine has \(count) network adapters already", remedy: "remove one of them first")
      }
      guard !entries.contains(where: { $0.configuration.name == adapter.name }) else {
        throw ControlError(
          .alreadyExists, "a network adapter named \(adapter.name) is there already", remedy: "choose another name")
      }
      if let other = entries.first(where: { $0.configuration.address == adapter.address }) {
        throw ControlError(
          .alreadyExists, "the network adapter \(other.configuration.name) has the address \(adapter.address) already",
          remedy: "give each an address of its own, or none")
      }
      let device = device ?? makeDevice(adapter)
      var entry = Entry(configuration: adapter, device: device)
      try plug(&entry, &ways)
      let plugged = entry
      let isStopped = state.withLock { state in
        if !state.isStopped { state.entries.append(plugged) }
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

  private func makeDevice(_ adapter: NetworkAdapterConfiguration) -> NetworkAdapterDevice {
    var configuration = NetworkConfiguration(
      address: EthernetAddress(rawValue: adapter.address.rawValue), maximumMTU: UInt32(adapter.maximumPayload),
      maximumSubChannels: UInt16(max(0, (adapter.channels ?? processors) - 1)))
    configuration.allowsAddressChange = adapter.allowsSpoofing
    let name = adapter.name
    return NetworkAdapterDevice(
      configuration, name: name, instanceID: .networkAdapter(machine, name), isMonitored: adapter.isMonitored,
      port: port, bus: { [weak self] in self?.bus.load() }, report: { [weak self] in self?.handle($0, of: name) })
  }

  func remove(_ name: String) throws(ControlError) {
    try changes.withLock { ways throws(ControlError) in
      let entry = try find(name)
      guard !entry.configuration.isLegacy else {
        throw ControlError(
          .wrongState, "the emulated network adapter \(name) cannot leave a running machine",
          remedy: "disconnect it: `lis vm nic disconnect`")
      }
      state.withLock { state in state.entries.removeAll { $0.device === entry.device } }
      if let bus = bus.load() { entry.device.withdraw(from: bus) }
      unplug(entry, &ways)
    }
  }

  /// Plugs an adapter into something else, or (`none`) into nothing. When that fails it stays where it was.
  func connect(
    _ name: String, to connection: NetworkConnection, _ forwards: [PortForwarding]
  ) throws(ControlError) -> NetworkAdapterReport {
    try changes.withLock { ways throws(ControlError) in
      let old = try find(name)
      var new = old
      new.configuration.connection = connection
      new.configuration.forwards = forwards
      new.capture = nil
      // Where it is already: nothing is to be done.
      guard new.configuration != old.configuration else { return report(old) }
      if let way = NetworkWay(new.configuration), way == NetworkWay(old.configuration) {
        // The same ports of the host: the old way has to go first.
        unplug(old, &ways)
        do throws(ControlError) {
          try plug(&new, &ways)
        } catch {
          new = old
          new.capture = nil
          do throws(ControlError) { try plug(&new, &ways) } catch {
            new.configuration.connection = .none
            new.configuration.forwards = []
            new.engine = nil
          }
          keep(new)
          throw error
        }
      } else {
        try plug(&new, &ways)
        endCapture(of: old)
        if new.engine == nil { detach(new) }
        release(old.configuration, &ways)
        // So that the guest asks for its addresses anew.
        if new.device.isLinkUp {
          new.device.setLink(isUp: false)
          new.device.setLink(isUp: true)
        }
      }
      keep(new)
      return report(new)
    }
  }

  /// Takes the cable out, or puts it back. What it leads to stays the adapter's.
  func setLink(isUp: Bool, of name: String) throws(ControlError) -> NetworkAdapterReport {
    try changes.withLock { _ throws(ControlError) in
      var entry = try find(name)
      guard entry.isLinkDown == isUp else { return report(entry) }
      if isUp {
        guard let engine = entry.engine else { throw Self.notConnected(name) }
        do throws(SwitchError) { try attach(entry, to: engine) } catch { throw ControlError(error) }
      } else {
        guard entry.engine != nil else { throw Self.notConnected(name) }
        endCapture(of: entry)
        entry.capture = nil
        detach(entry)
      }
      entry.isLinkDown = !isUp
      keep(entry)
      return report(entry)
    }
  }

  func setVLAN(_ vlan: VLANMode, of name: String) throws(ControlError) -> NetworkAdapterReport {
    try setPort(of: name, "VLAN") { $0.vlan = vlan }
  }

  /// What is nil stays as it is.
  func setGuards(_ guards: NICGuardsRequest, of name: String) throws(ControlError) -> NetworkAdapterReport {
    try setPort(of: name, "guards") { configuration in
      configuration.allowsSpoofing = guards.spoofing ?? configuration.allowsSpoofing
      configuration.isIsolated = guards.isolated ?? configuration.isIsolated
      configuration.guardsRouters = guards.routerGuard ?? configuration.guardsRouters
      configuration.guardsDHCP = guards.dhcpGuard ?? configuration.guardsDHCP
    }
  }

  /// Changes what an adapter's port is held to.
  private func setPort(
    of name: String, _ what: String, _ change: (inout NetworkAdapterConfiguration) -> Void
  ) throws(ControlError) -> NetworkAdapterReport {
    try changes.withLock { ways throws(ControlError) in
      let old = try find(name)
      var entry = old
      change(&entry.configuration)
      guard entry.configuration != old.configuration else { return report(old) }
      if case .switch = entry.configuration.connection {
        // The other switch judges the port, and is told when it is plugged in.
        guard case .here = place else {
          throw ControlError(
            .hostUnsupported, "the software machine cannot change the \(what) of \(name) at a switch while it runs",
            remedy: "change it at the switch's port, or give it to `lis run`")
        }
        unplug(old, &ways)
        entry.capture = nil
        do throws(ControlError) {
          try plug(&entry, &ways)
        } catch {
          entry = old
          entry.capture = nil
          try? plug(&entry, &ways)
          keep(entry)
          throw error
        }
      } else {
        do throws(SwitchError) {
          try entry.device.connection?.set(entry.configuration.portSettings)
        } catch {
          throw ControlError(error)
        }
      }
      entry.device.allowAddressChange(entry.configuration.allowsSpoofing)
      keep(entry)
      return report(entry)
    }
  }

  func find(_ name: String) throws(ControlError) -> Entry {
    let entries = state.withLock { $0.entries }
    guard let entry = entries.first(where: { $0.configuration.name == name }) else {
      throw ControlError.noNIC(name, among: entries.map(\.configuration.name))
    }
    return entry
  }

  /// What a change has made of an adapter.
  func keep(_ entry: Entry) {
    state.withLock { state in
      if let index = state.entries.firstIndex(where: { $0.device === entry.device }) { state.entries[index] = entry }
    }
  }

  static func notConnected(_ name: String) -> ControlError {
    ControlError(
      .wrongState, "the network adapter \(name) is connected to nothing", remedy: "connect it: `lis vm nic connect`")
  }

  // MARK: Plugs

  /// Plugs it into what its configuration names, out of anything else. After an error nothing has changed.
  private func plug(_ entry: inout Entry, _ ways: inout [NetworkWay: Way]) throws(ControlError) {
    do throws(SwitchError) {
      let engine = try self.engine(entry.configuration, &ways)
      if let engine, !entry.isLinkDown {
        do throws(SwitchError) {
          try attach(entry, to: engine)
        } catch {
          release(entry.configuration, &ways)
          throw error
        }
      }
      entry.engine = engine
      if engine == nil { entry.isLinkDown = false }
    } catch {
      throw ControlError(error)
    }
  }

  private func unplug(_ entry: Entry, _ ways: inout [NetworkWay: Way]) {
    endCapture(of: entry)
    detach(entry)
    if entry.engine != nil { release(entry.configuration, &ways) }
  }

  private func attach(_ entry: Entry, to engine: SwitchEngine) throws(SwitchError) {
    let configuration = entry.configuration
    let old = try entry.device.connect { sink, capabilities throws(SwitchError) in
      try engine.connect(
        configuration.name, NetworkWay.portSettings(configuration), capabilities: capabilities, sink: sink)
    }
    old?.disconnect()
    entry.device.setLink(isUp: true)
  }

  private func detach(_ entry: Entry) {
    let old = try? entry.device.connect { _, _ in nil }
    old?.disconnect()
    entry.device.setLink(isUp: false)
  }

  /// The switch with this way out, made when nobody has it yet; nil: nothing to be plugged into.
  private func engine(
    _ configuration: NetworkAdapterConfiguration, _ ways: inout [NetworkWay: Way]
  ) throws(SwitchError) -> SwitchEngine? {
    guard let key = NetworkWay(configuration) else { return nil }
    if var way = ways[key] {
      way.users += 1
      if way.maximumPayload < configuration.maximumPayload {
        try way.engine.set(.uplink(maximumPayload: configuration.maximumPayload), at: Self.uplinkName)
        way.maximumPayload = configuration.maximumPayload
      }
      ways[key] = way
      return way.engine
    }
    let uplink = try place.uplink(key, configuration, machine: machine)
    let engine = SwitchEngine(name: "\(configuration.connection)")
    try engine.add(uplink, named: Self.uplinkName, .uplink(maximumPayload: configuration.maximumPayload))
    ways[key] = Way(engine: engine, users: 1, maximumPayload: configuration.maximumPayload)
    return engine
  }

  private func release(_ configuration: NetworkAdapterConfiguration, _ ways: inout [NetworkWay: Way]) {
    guard let way = NetworkWay(configuration), var known = ways[way] else { return }
    known.users -= 1
    ways[way] = known.users > 0 ? known : nil
    if known.users == 0 { known.engine.stop() }
  }

  // MARK: To look at

  func list() -> [NetworkAdapterReport] { state.withLock { $0.entries }.map { report($0) } }

  /// What the adapters and their ports have counted.
  var statistics: [String: UInt64] {
    var counters: [String: UInt64] = [:]
    let entries = state.withLock { $0.entries }
    for entry in entries {
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
    // Not from the ways: they are locked while one is being opened.
    var seen: Set<ObjectIdentifier> = []
    for engine in entries.compactMap(\.engine) where seen.insert(ObjectIdentifier(engine)).inserted {
      for port in engine.ports() {
        let name = port.kind == .uplink ? "switch.\(engine.name).uplink" : "nic.\(port.name)"
        for reason in DropReason.allCases where port.counters.dropped(reason) > 0 {
          counters["\(name).dropped.\(reason.name)"] = port.counters.dropped(reason)
        }
      }
    }
    return counters
  }

  func report(_ entry: Entry) -> NetworkAdapterReport {
    NetworkAdapterReport(
      configuration: entry.configuration, isLinkUp: entry.device.isLinkUp, channels: entry.device.channelCount,
      guestView: entry.device.guestView, statistics: entry.device.statistics,
      port: entry.engine?.ports().first { $0.kind == .adapter && $0.name == entry.configuration.name },
      capture: entry.capture.flatMap { path in entry.engine?.captures.first { $0.path == path } })
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

extension GUID {
  /// The same for the same names: a guest's udev keeps an interface's settings by it.
  static func networkAdapter(_ machine: String, _ adapter: String) -> GUID {
    .derived(from: "network adapter \(machine)/\(adapter)")
  }
}
