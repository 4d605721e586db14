// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Dispatch
import Glibc
import HostSystem
import Partition
import ServiceProviders
import Synchronization
import VMBus
import VMBusHost
import VirtualSwitch

/// A synthetic network adapter on the bus: its offer, its channels' threads, its port of a switch.
///
/// Locks: the bus's, then `state`, then an entrance's, then a runner's. `plug` is taken for a moment and nothing inside
/// it. A switch calls `accept` and `endBurst` on the threads of whoever sends, under its own lock: those take an entrance
/// and a runner's only. What the channels' threads want of the bus goes through `offers`, since the bus waits for them
/// when a channel is closed.
final class NetworkAdapterDevice: MultichannelDevice, NetworkRunnerOwner, SwitchPortSink {
  private struct State {
    var provider: NetworkProvider
    var channels = DeviceChannels<NetworkRunner>()
    /// Memory that the guest shares on the first channel.
    var buffers: [GPADLID: NetworkBuffer] = [:]
    /// What closed channels have seen.
    var past = NetworkStatistics()
  }

  /// Who gets a frame, for some of those that send. Each has a copy, so that two that send at once meet at a channel only.
  private final class Entrance: Sendable {
    struct State {
      var runners = [NetworkRunner?](repeating: nil, count: channels)
      var scaling: NetworkScaling?
      /// Channels that got frames since the last `endBurst`, a bit each.
      var touched: UInt64 = 0
    }
    static let channels = 64
    let state = Mutex(State())
  }
  private static let entranceCount = 16

  private struct Plug {
    var connection: (any SwitchConnection)?
    var number = 0
  }

  let name: String
  let instanceID: GUID
  private let isMonitored: Bool
  private let state: Mutex<State>
  private let entrances = (0..<entranceCount).map { _ in Entrance() }
  private let plug = Mutex(Plug())
  private let plugNumber = Atomic(0)
  private let busPort: PartitionPort
  let bus: @Sendable () -> PartitionBus?
  let offers = DispatchQueue(label: "swift-lis.network")
  private let report: @Sendable (NetworkReport) -> Void

  init(
    _ configuration: NetworkConfiguration, name: String, instanceID: GUID, isMonitored: Bool = false,
    port: PartitionPort,
    bus: @escaping @Sendable () -> PartitionBus?, report: @escaping @Sendable (NetworkReport) -> Void
  ) {
    self.name = name
    self.instanceID = instanceID
    self.isMonitored = isMonitored
    state = Mutex(State(provider: NetworkProvider(configuration, isLinkUp: false)))
    busPort = port
    self.bus = bus
    self.report = report
  }

  // MARK: Offers

  func offer(subChannel index: UInt16) -> OfferDescription {
    OfferDescription(
      classID: NetworkAdapter.classID, instanceID: instanceID, flags: .enumerateInterface, subChannelIndex: index,
      isMonitored: isMonitored)
  }

  func withChannels<R>(_ body: (inout DeviceChannels<NetworkRunner>) -> R) -> R {
    state.withLock { body(&$0.channels) }
  }

  func subChannelNotOffered(_ reason: String) { report(.subChannelNotOffered(reason)) }

  // MARK: Channels, under the bus's lock

  func open(_ opening: ChannelOpening) -> Bool {
    guard let memory = busPort.memory else { return false }
    return state.withLock { state in
      guard let index = state.channels.closedIndex(of: opening.channel) else { return false }
      let incoming: IncomingRing
      let outgoing: OutgoingRing
      do throws(RingError) {
        incoming = try IncomingRing(
          memory: memory, frames: opening.guestToHostFrames, largestPacket: NetworkRunner.largestPacket)
        outgoing = try OutgoingRing(memory: memory, frames: opening.hostToGuestFrames)
      } catch {
        return false
      }
      var effects: [NetworkEffect] = []
      let channel = state.provider.channelOpened(index, effects: &effects)
      let port = busPort
      let id = opening.channel
      do throws(PartitionError) {
        let runner = try NetworkRunner(
          channel, outgoing, memory: memory, target: opening.targetVP, signal: { port.signal(id, at: $0) })
        guard port.bindDoorbell(opening.connection, to: runner.bell.number) else {
          state.provider.channelClosed(index, effects: &effects)
          return false
        }
        do throws(PartitionError) {
          try runner.start(incoming, owner: self)
        } catch {
          port.unbindDoorbell(opening.connection, from: runner.bell.number)
          throw error
        }
        state.channels.opened(index, runner, at: opening.connection)
        forEachEntrance { $0.runners[Int(index)] = runner }
      } catch {
        state.provider.channelClosed(index, effects: &effects)
        return false
      }
      carryOut(effects, &state)
      return true
    }
  }

  func close(_ channel: ChannelID) -> ChannelClosing {
    let closing = state.withLock { state -> DeviceChannels<NetworkRunner>.Closing? in
      guard let closing = state.channels.beginClosing(channel) else { return nil }
      forEachEntrance { $0.runners[Int(closing.index)] = nil }
      return closing
    }
    guard let closing else { return .closed() }
    busPort.unbindDoorbell(closing.connection, from: closing.runner.bell.number)
    // Without the lock: the thread may have something to say to the provider before it ends.
    closing.runner.stop()
    let ending = state.withLock { state -> [ChannelID] in
      closing.runner.counters.add(to: &state.past)
      var effects: [NetworkEffect] = []
      state.provider.channelClosed(closing.index, effects: &effects)
      carryOut(effects, &state)
      return state.channels.endClosing(closing.index)
    }
    return .closed(subChannels: ending)
  }

  func share(_ memory: GPADL, as id: GPADLID, on channel: ChannelID) {
    guard memory.ranges.count == 1, let range = memory.ranges.first, range.byteOffset == 0 else { return }
    state.withLock { state in
      guard state.channels.index(of: channel) == 0 else { return }
      state.buffers[id] = NetworkBuffer(frames: range.frames, byteCount: UInt64(range.byteCount))
    }
  }

  /// A guest that takes memory back without having said so before may find frames in it: it is the guest's own.
  func withdraw(_ id: GPADLID, on channel: ChannelID) { state.withLock { $0.buffers[id] = nil } }

  /// The machine was reset, and the channels were closed.
  func reset() {
    state.withLock { state in
      var effects: [NetworkEffect] = []
      state.provider.reset(effects: &effects)
      carryOut(effects, &state)
    }
  }

  // MARK: From the channels' threads

  func control(_ control: NetworkControl, from runner: NetworkRunner) {
    state.withLock { state in
      let environment = AdapterEnvironment(buffers: state.buffers, statistics: Self.statistics(state))
      let effects = runner.withLane { lane in
        var effects: [NetworkEffect] = []
        state.provider.receive(control, on: &lane.channel, environment: environment, effects: &effects)
        return effects
      }
      carryOut(effects, &state)
    }
  }

  private static func statistics(_ state: borrowing State) -> NetworkStatistics {
    var statistics = state.past
    for runner in state.channels.runners { runner.counters.add(to: &statistics) }
    return statistics
  }

  var port: (connection: (any SwitchConnection)?, number: Int) { plug.withLock { ($0.connection, $0.number) } }
  var portNumber: Int { plugNumber.load(ordering: .acquiring) }

  func broke(_ channel: UInt16, _ error: RingError) { report(.channelBroken(index: channel, "\(error)")) }

  /// Under `state`, so that orders reach the channels in the order of their making.
  private func carryOut(_ effects: [NetworkEffect], _ state: inout State) {
    for effect in effects {
      switch effect {
      case .offerSubChannels(let count):
        offerSubChannels(count, of: state.channels.opening)
      // `close` names them to the bus.
      case .withdrawSubChannels: break
      case .order(let order, let channels): for index in channels { state.channels[index]?.order(order) }
      case .settingsChanged(let settings):
        forEachEntrance { $0.scaling = settings.scaling }
        // It takes the lock of the switch, whose readers wait for nothing of this adapter's but its runners.
        plug.withLock { $0.connection }?.set(Self.capabilities(settings))
      case .addressChanged(let address): report(.addressChanged(address))
      }
    }
  }

  private static func capabilities(_ settings: NetworkSettings) -> PortCapabilities {
    let coalesced = settings.acceptsCoalesced
    return PortCapabilities(
      tagsOutOfBand: true, unfinishedChecksums: coalesced, tcp4Segmentation: coalesced, tcp6Segmentation: coalesced)
  }

  // MARK: The port

  /// Plugs the adapter in, or out with nil. `make` gets what the port is to take. The one before is to be disconnected by
  /// the caller, after this.
  func connect(
    _ make: (any SwitchPortSink, PortCapabilities) throws(SwitchError) -> (any SwitchConnection)?
  ) throws(SwitchError) -> (any SwitchConnection)? {
    let capabilities = state.withLock { Self.capabilities($0.provider.settings) }
    let connection = try make(self, capabilities)
    return plug.withLock { plug in
      let old = plug.connection
      plug.connection = connection
      plug.number += 1
      plugNumber.store(plug.number, ordering: .releasing)
      return old
    }
  }

  func setLink(isUp: Bool) {
    state.withLock { state in
      var effects: [NetworkEffect] = []
      state.provider.setLink(isUp: isUp, effects: &effects)
      carryOut(effects, &state)
    }
  }

  func allowAddressChange(_ isAllowed: Bool) {
    state.withLock { $0.provider.allowAddressChange(isAllowed) }
  }

  var isLinkUp: Bool { state.withLock { $0.provider.isLinkUp } }
  var statistics: NetworkStatistics { state.withLock { Self.statistics($0) } }
  var channelCount: Int { withChannels { $0.openCount } }
  var settings: NetworkSettings { state.withLock { $0.provider.settings } }

  // MARK: Frames for the guest

  private func forEachEntrance(_ body: (inout Entrance.State) -> Void) {
    for entrance in entrances { entrance.state.withLock { body(&$0) } }
  }

  func accept(_ frame: FrameView, from sender: Int) -> Bool {
    guard let first = unsafe frame.pieces.first else { return false }
    let header = unsafe UnsafeRawBufferPointer(start: first.iov_base, count: first.iov_len)
    return entrances[sender % Self.entranceCount].state.withLock { state in
      let header = unsafe header.bytes
      let layout = FrameLayout(header)
      var hash: UInt32?
      var index = 0
      if let selected = state.scaling?.select(layout, header) {
        index = Int(selected.channel)
        hash = selected.hash
      }
      // Until all channels that the guest's table names are open, the first takes their part.
      if index >= Entrance.channels || state.runners[index] == nil { index = 0 }
      guard let runner = state.runners[index], runner.accept(frame, hash: hash) else { return false }
      state.touched |= 1 << UInt64(index)
      return true
    }
  }

  func endBurst(from sender: Int) {
    entrances[sender % Self.entranceCount].state.withLock { state in
      while state.touched != 0 {
        let index = state.touched.trailingZeroBitCount
        state.touched &= state.touched &- 1
        state.runners[index]?.deliver()
      }
    }
  }
}

/// What an adapter has to tell its owner. Called on the channels' threads, under locks: keep it for later.
enum NetworkReport: Sendable {
  case addressChanged(EthernetAddress)
  case channelBroken(index: UInt16, String)
  case subChannelNotOffered(String)
}
