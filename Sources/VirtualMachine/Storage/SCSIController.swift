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
/// goes through `offers`, since the bus may wait for them when a channel is closed.
final class SCSIController: MultichannelDevice, StorageRunnerOwner {
  struct Description: Sendable {
    var kind: StorageController
    var instanceID: GUID
    var maximumSubChannels: UInt16 = 0
  }

  /// For a controller whose drive has another face, which must rest while this one is in use.
  struct HandOver: Sendable {
    /// Before the first request: returns when nothing of the other face is under way. On the first channel's thread.
    var take: @Sendable () -> Void
    /// After the last. Must not wait.
    var giveBack: @Sendable () -> Void
  }

  private struct State {
    var provider: StorageProvider
    var channels = DeviceChannels<StorageRunner>()
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
  let bus: @Sendable () -> PartitionBus?
  let offers = DispatchQueue(label: "swift-lis.storage")
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

  func offer(subChannel index: UInt16) -> OfferDescription {
    OfferDescription(
      classID: description.kind.classID, instanceID: description.instanceID, flags: .enumerateInterface,
      userData: description.kind.userData, subChannelIndex: index)
  }

  func withChannels<R>(_ body: (inout DeviceChannels<StorageRunner>) -> R) -> R {
    state.withLock { body(&$0.channels) }
  }

  func subChannelNotOffered(_ reason: String) { report(.subChannelNotOffered(reason)) }

  // MARK: Channels, under the bus's lock

  func open(_ opening: ChannelOpening) -> Bool {
    guard let memory = port.memory else { return false }
    var effects: [StorageEffect] = []
    let isOpen = state.withLock { state in
      guard let index = state.channels.closedIndex(of: opening.channel),
        let rings = try? ChannelRings(
          memory: memory, incoming: opening.guestToHostFrames, outgoing: opening.hostToGuestFrames,
          largestPacket: StorageRunner.largestPacket),
        let runner = try? StorageRunner(index: index, target: opening.targetVP),
        port.bindDoorbell(opening.connection, to: runner.bell.number)
      else { return false }
      if index == 0 {
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
      state.channels.opened(index, runner, at: opening.connection)
      return true
    }
    carryOut(effects)
    return isOpen
  }

  func close(_ channel: ChannelID) -> ChannelClosing {
    guard let closing = withChannels({ $0.beginClosing(channel) }) else { return .closed() }
    port.unbindDoorbell(closing.connection, from: closing.runner.bell.number)
    closing.runner.end()
    return .underWay { [self] in end(closing) }
  }

  /// The rest of `close`: when no drive has a request of the channel any more.
  private func end(_ closing: DeviceChannels<StorageRunner>.Closing) -> [ChannelID] {
    // Without the lock: the thread may have something to say to the provider before it ends.
    closing.runner.join()
    if closing.index == 0 { handOver?.giveBack() }
    var effects: [StorageEffect] = []
    let ending = state.withLock { state -> [ChannelID] in
      state.provider.channelClosed(closing.index, effects: &effects)
      return state.channels.endClosing(closing.index)
    }
    carryOut(effects)
    return ending
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
        offerSubChannels(count, of: withChannels { $0.opening })
      // `close` names them to the bus.
      case .withdrawSubChannels: break
      case .reset(let scope, let channels):
        for unit in units where scope == .controller || scope == .unit(unit.number) { unit.withModel { $0.reset() } }
        let runners = withChannels { open in channels.compactMap { open[$0] } }
        for runner in runners { runner.order(.reset(scope)) }
      case .answer(let channel, let id, let status):
        withChannels { $0[channel] }?.order(.answer(id, status))
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
  func announceChange() { withChannels { $0[0] }?.order(.unitsChanged) }
}

/// What a controller has to tell its owner. Called on the channels' threads.
enum StorageReport: Sendable {
  case ejected(StorageUnit)
  case channelBroken(index: UInt16, String)
  case subChannelNotOffered(String)
}
