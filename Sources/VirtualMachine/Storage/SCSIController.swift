// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Dispatch
import Partition
import ServiceProviders
import Synchronization
import VMBus
import VMBusHost
import VirtualDisks

/// A storage controller on the bus: its offer, its channels' threads, its units.
///
/// Locks: the bus's, then `state`, then `table`. The channels' threads take the last two only; what they want of the bus
/// goes through `offers`, since the bus waits for them when a channel is closed.
final class SCSIController: ChannelOwner, StorageRunnerOwner {
  struct Description: Sendable {
    var kind: StorageController
    var instanceID: GUID
    var maximumSubChannels: UInt16 = 0
  }

  /// For a controller whose drive has another face, which must rest while this one is in use.
  struct HandOver: Sendable {
    /// Before the first request: returns when nothing of the other face is under way. On the first channel's thread.
    var take: @Sendable () -> Void
    /// After the last. Under the bus's lock: must not wait.
    var giveBack: @Sendable () -> Void
  }

  private struct State {
    var provider: StorageProvider
    /// Which channel of the controller each offered channel of the bus is.
    var indices: [ChannelID: UInt16] = [:]
    /// Sub-channels that are being rescinded.
    var leaving: [ChannelID: UInt16] = [:]
    var runners: [UInt16: StorageRunner] = [:]
    var doorbells: [UInt16: ConnectionID] = [:]
    /// Counts the openings of the first channel.
    var openings: UInt64 = 0
  }

  private struct Table {
    var units: [StorageUnit?] = Array(repeating: nil, count: 64)
    var numbers = SCSIUnitSet(rawValue: 0)
  }

  let description: Description
  private let configuration: StorageConfiguration
  private let state: Mutex<State>
  private let table = Mutex(Table())
  private let port: PartitionPort
  private let bus: @Sendable () -> PartitionBus?
  private let offers = DispatchQueue(label: "swift-lis.storage")
  private let handOver: HandOver?
  private let report: @Sendable (StorageReport) -> Void

  /// `bus`: for sub-channels.
  init(
    _ description: Description, port: PartitionPort, bus: @escaping @Sendable () -> PartitionBus? = { nil },
    handOver: HandOver? = nil, report: @escaping @Sendable (StorageReport) -> Void
  ) {
    self.description = description
    configuration = StorageConfiguration(
      controller: description.kind, maximumSubChannels: description.maximumSubChannels)
    state = Mutex(State(provider: StorageProvider(configuration)))
    self.port = port
    self.bus = bus
    self.handOver = handOver
    self.report = report
  }

  // MARK: Offers

  private func offer(subChannel index: UInt16) -> OfferDescription {
    OfferDescription(
      classID: description.kind.classID, instanceID: description.instanceID, flags: .enumerateInterface,
      userData: description.kind.userData, subChannelIndex: index)
  }

  /// Puts the controller on the bus.
  func offer(on bus: PartitionBus) throws(BusServerError) {
    try bus.offer(offer(subChannel: 0), owner: self) { channel in
      state.withLock { $0.indices[channel] = 0 }
    }
  }

  private func offerSubChannels(_ count: UInt16, opening: UInt64) {
    guard count > 0, let bus = bus() else { return }
    for index in 1...count {
      do throws(BusServerError) {
        // Under the bus's lock, so that the first channel is not closed in between.
        try bus.offer(
          offer(subChannel: index), owner: self, when: { state.withLock { $0.openings == opening } }
        ) { channel in
          state.withLock { $0.indices[channel] = index }
        }
      } catch {
        report(.subChannelNotOffered(String(describing: error)))
      }
    }
  }

  // MARK: Channels, under the bus's lock

  func open(_ opening: ChannelOpening) -> Bool {
    guard let memory = port.memory else { return false }
    var effects: [StorageEffect] = []
    let isOpen = state.withLock { state in
      guard let index = state.indices[opening.channel], state.runners[index] == nil,
        let rings = try? ChannelRings(
          memory: memory, incoming: opening.guestToHostFrames, outgoing: opening.hostToGuestFrames,
          largestPacket: StorageRunner.largestPacket),
        let runner = try? StorageRunner(index: index, target: opening.targetVP),
        port.bindDoorbell(opening.connection, to: runner.bell.number)
      else { return false }
      if index == 0 {
        state.openings &+= 1
        for unit in units { unit.withModel { $0.restart() } }
      }
      let channel = state.provider.channelOpened(index, effects: &effects)
      let port = port
      let id = opening.channel
      do throws(PartitionError) {
        try runner.start(
          channel, rings, memory: memory, slots: configuration.slotsPerChannel, owner: self,
          prepare: { [handOver] in if index == 0 { handOver?.take() } }, signal: { port.signal(id, at: $0) })
      } catch {
        port.unbindDoorbell(opening.connection, from: runner.bell.number)
        state.provider.channelClosed(index, effects: &effects)
        return false
      }
      state.runners[index] = runner
      state.doorbells[index] = opening.connection
      return true
    }
    carryOut(effects)
    return isOpen
  }

  func close(_ channel: ChannelID) -> [ChannelID] {
    let found = state.withLock { state -> (index: UInt16, runner: StorageRunner, connection: ConnectionID?)? in
      guard let index = state.indices[channel] ?? state.leaving.removeValue(forKey: channel),
        let runner = state.runners.removeValue(forKey: index)
      else { return nil }
      return (index, runner, state.doorbells.removeValue(forKey: index))
    }
    guard let (index, runner, connection) = found else { return [] }
    if let connection { port.unbindDoorbell(connection, from: runner.bell.number) }
    // Without the lock: the thread may have something to say to the provider before it ends.
    runner.stop()
    if index == 0 { handOver?.giveBack() }
    var effects: [StorageEffect] = []
    let ending = state.withLock { state -> [ChannelID] in
      state.provider.channelClosed(index, effects: &effects)
      guard index == 0 else { return [] }
      state.openings &+= 1
      let ending = state.indices.filter { $0.value != 0 }
      state.indices = state.indices.filter { $0.value == 0 }
      state.leaving.merge(ending) { $1 }
      return ending.keys.sorted { $0.rawValue < $1.rawValue }
    }
    carryOut(effects)
    return ending
  }

  func retarget(_ channel: ChannelID, to vp: VPIndex) { runner(of: channel)?.retarget(to: vp) }
  func signalled(_ channel: ChannelID) { runner(of: channel)?.bell.ring() }

  private func runner(of channel: ChannelID) -> StorageRunner? {
    state.withLock { state in state.indices[channel].flatMap { state.runners[$0] } }
  }

  // MARK: From the channels' threads

  func control(_ control: StorageControl, on channel: inout StorageChannel) {
    var effects: [StorageEffect] = []
    state.withLock { $0.provider.receive(control, on: &channel, effects: &effects) }
    carryOut(effects)
  }

  func drained(_ channel: UInt16) {
    var effects: [StorageEffect] = []
    state.withLock { $0.provider.drained(channel, effects: &effects) }
    carryOut(effects)
  }

  func ejected(_ unit: StorageUnit) { report(.ejected(unit)) }

  func broke(_ channel: UInt16, _ error: RingError) { report(.channelBroken(index: channel, "\(error)")) }

  private func carryOut(_ effects: [StorageEffect]) {
    for effect in effects {
      switch effect {
      case .offerSubChannels(let count):
        let opening = state.withLock { $0.openings }
        offers.async { [self] in offerSubChannels(count, opening: opening) }
      // `close` names them to the bus.
      case .withdrawSubChannels: break
      case .reset(let scope, let channels):
        for unit in units where scope == .controller || scope == .unit(unit.number) { unit.withModel { $0.reset() } }
        let runners = state.withLock { state in channels.compactMap { state.runners[$0] } }
        for runner in runners { runner.order(.reset(scope)) }
      case .answer(let channel, let id, let status):
        state.withLock { $0.runners[channel] }?.order(.answer(id, status))
      }
    }
  }

  // MARK: Units

  func unit(_ number: UInt8) -> StorageUnit? { number < 64 ? table.withLock { $0.units[Int(number)] } : nil }
  var unitNumbers: SCSIUnitSet { table.withLock { $0.numbers } }
  var units: [StorageUnit] { table.withLock { $0.units.compactMap { $0 } } }

  /// Puts a unit in, or takes the one there out with nil, and lets the guest know.
  ///
  /// No unit attention says so on the others (3F/0E): all that Linux does with it is to print a warning for each.
  func set(_ unit: StorageUnit?, at number: UInt8) {
    table.withLock { table in
      table.units[Int(number)] = unit
      if unit != nil { table.numbers.insert(number) } else { table.numbers.remove(number) }
    }
    announceChange()
  }

  /// The guest is to look at its units: which there are, and what they have to say.
  func announceChange() { state.withLock { $0.runners[0] }?.order(.unitsChanged) }
}

/// What a controller has to tell its owner. Called on the channels' threads.
enum StorageReport: Sendable {
  case ejected(StorageUnit)
  case channelBroken(index: UInt16, String)
  case subChannelNotOffered(String)
}
