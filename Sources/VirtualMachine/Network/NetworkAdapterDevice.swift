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
/// Locks: the bus's, then `state`, then a runner's. `routes` and `plug` are taken for a moment each and nothing inside
/// them. A switch calls `accept` and `endBurst` on the threads of whoever sends, under its own lock: those take `routes`
/// and a runner's only. What the channels' threads want of the bus goes through `offers`, since the bus waits for them
/// when a channel is closed.
final class NetworkAdapterDevice: ChannelOwner, NetworkRunnerOwner, SwitchPortSink {
  private struct State {
    var provider: NetworkProvider
    /// Which channel of the adapter each offered channel of the bus is.
    var indices: [ChannelID: UInt16] = [:]
    /// Sub-channels that are being rescinded.
    var leaving: [ChannelID: UInt16] = [:]
    var runners: [UInt16: NetworkRunner] = [:]
    var doorbells: [UInt16: ConnectionID] = [:]
    /// Memory that the guest shares on the first channel.
    var buffers: [GPADLID: NetworkBuffer] = [:]
    /// What closed channels have seen.
    var past = NetworkStatistics()
    /// Counts the openings of the first channel.
    var openings: UInt64 = 0
  }

  /// Who gets a frame.
  private struct Routes {
    var runners = [NetworkRunner?](repeating: nil, count: 64)
    var scaling: NetworkScaling?
  }

  private struct Plug {
    var connection: (any SwitchConnection)?
    var number = 0
  }

  let name: String
  let instanceID: GUID
  private let state: Mutex<State>
  private let routes = Mutex(Routes())
  private let plug = Mutex(Plug())
  private let plugNumber = Atomic(0)
  /// Channels that got frames since the last `endBurst`, a bit each.
  private let touched = Atomic<UInt64>(0)
  private let busPort: PartitionPort
  private let bus: @Sendable () -> PartitionBus?
  private let offers = DispatchQueue(label: "swift-lis.network")
  private let report: @Sendable (NetworkReport) -> Void

  init(
    _ configuration: NetworkConfiguration, name: String, instanceID: GUID, port: PartitionPort,
    bus: @escaping @Sendable () -> PartitionBus?, report: @escaping @Sendable (NetworkReport) -> Void
  ) {
    self.name = name
    self.instanceID = instanceID
    state = Mutex(State(provider: NetworkProvider(configuration, isLinkUp: false)))
    busPort = port
    self.bus = bus
    self.report = report
  }

  // MARK: Offers

  private func offer(subChannel index: UInt16) -> OfferDescription {
    OfferDescription(
      classID: NetworkAdapter.classID, instanceID: instanceID, flags: .enumerateInterface, subChannelIndex: index)
  }

  /// Puts the adapter on the bus.
  func offer(on bus: PartitionBus) throws(BusServerError) {
    try bus.offer(offer(subChannel: 0), owner: self) { channel in state.withLock { $0.indices[channel] = 0 } }
  }

  /// Takes it off the bus: the guest loses the adapter.
  func withdraw(from bus: PartitionBus) {
    let channel = state.withLock { $0.indices.first { $0.value == 0 }?.key }
    guard let channel else { return }
    // Closed already, or the guest has forgotten it.
    do throws(BusServerError) { try bus.rescind(channel) } catch {}
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
    guard let memory = busPort.memory else { return false }
    return state.withLock { state in
      guard let index = state.indices[opening.channel], state.runners[index] == nil else { return false }
      let incoming: IncomingRing
      let outgoing: OutgoingRing
      do throws(RingError) {
        incoming = try IncomingRing(
          memory: memory, frames: opening.guestToHostFrames, largestPacket: NetworkRunner.largestPacket)
        outgoing = try OutgoingRing(memory: memory, frames: opening.hostToGuestFrames)
      } catch {
        return false
      }
      if index == 0 { state.openings &+= 1 }
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
        state.runners[index] = runner
        state.doorbells[index] = opening.connection
        routes.withLock { $0.runners[Int(index)] = runner }
      } catch {
        state.provider.channelClosed(index, effects: &effects)
        return false
      }
      carryOut(effects, &state)
      return true
    }
  }

  func close(_ channel: ChannelID) -> [ChannelID] {
    let found = state.withLock { state -> (index: UInt16, runner: NetworkRunner, connection: ConnectionID?)? in
      guard let index = state.indices[channel] ?? state.leaving.removeValue(forKey: channel),
        let runner = state.runners.removeValue(forKey: index)
      else { return nil }
      routes.withLock { $0.runners[Int(index)] = nil }
      return (index, runner, state.doorbells.removeValue(forKey: index))
    }
    guard let (index, runner, connection) = found else { return [] }
    if let connection { busPort.unbindDoorbell(connection, from: runner.bell.number) }
    // Without the lock: the thread may have something to say to the provider before it ends.
    runner.stop()
    return state.withLock { state in
      runner.counters.add(to: &state.past)
      var effects: [NetworkEffect] = []
      state.provider.channelClosed(index, effects: &effects)
      carryOut(effects, &state)
      guard index == 0 else { return [] }
      state.openings &+= 1
      let ending = state.indices.filter { $0.value != 0 }
      state.indices = state.indices.filter { $0.value == 0 }
      state.leaving.merge(ending) { $1 }
      return ending.keys.sorted { $0.rawValue < $1.rawValue }
    }
  }

  func retarget(_ channel: ChannelID, to vp: VPIndex) { runner(of: channel)?.retarget(to: vp) }
  func signalled(_ channel: ChannelID) { runner(of: channel)?.bell.signal() }

  private func runner(of channel: ChannelID) -> NetworkRunner? {
    state.withLock { state in state.indices[channel].flatMap { state.runners[$0] } }
  }

  func share(_ memory: GPADL, as id: GPADLID, on channel: ChannelID) {
    guard memory.ranges.count == 1, let range = memory.ranges.first, range.byteOffset == 0 else { return }
    state.withLock { state in
      guard state.indices[channel] == 0 else { return }
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
    for runner in state.runners.values { runner.counters.add(to: &statistics) }
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
        let opening = state.openings
        offers.async { [self] in offerSubChannels(count, opening: opening) }
      // `close` names them to the bus.
      case .withdrawSubChannels: break
      case .order(let order, let channels): for index in channels { state.runners[index]?.order(order) }
      case .settingsChanged(let settings):
        routes.withLock { $0.scaling = settings.scaling }
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
    let old = plug.withLock { plug in
      let old = plug.connection
      plug.connection = connection
      plug.number += 1
      plugNumber.store(plug.number, ordering: .releasing)
      return old
    }
    return old
  }

  func setLink(isUp: Bool) {
    state.withLock { state in
      var effects: [NetworkEffect] = []
      state.provider.setLink(isUp: isUp, effects: &effects)
      carryOut(effects, &state)
    }
  }

  var isLinkUp: Bool { state.withLock { $0.provider.isLinkUp } }
  var statistics: NetworkStatistics { state.withLock { Self.statistics($0) } }
  var channelCount: Int { state.withLock { $0.runners.count } }
  var settings: NetworkSettings { state.withLock { $0.provider.settings } }

  // MARK: Frames for the guest

  func accept(_ frame: FrameView) -> Bool {
    guard let first = unsafe frame.pieces.first else { return false }
    let header = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(first.iov_base), byteCount: first.iov_len)
    let layout = FrameLayout(header)
    var hash: UInt32?
    var index: UInt16 = 0
    let scaling = routes.withLock { $0.scaling }
    if let selected = scaling?.select(layout, header) {
      index = selected.channel
      hash = selected.hash
    }
    let runner = routes.withLock { routes in
      // Until all channels that the guest's table names are open, the first takes their part.
      if index >= 64 || routes.runners[Int(index)] == nil { index = 0 }
      return routes.runners[Int(index)]
    }
    guard let runner, runner.accept(frame, hash: hash) else { return false }
    touched.bitwiseOr(1 << UInt64(index), ordering: .releasing)
    return true
  }

  func endBurst() {
    var bits = touched.exchange(0, ordering: .acquiring)
    while bits != 0 {
      let index = bits.trailingZeroBitCount
      bits &= bits &- 1
      routes.withLock { $0.runners[index] }?.deliver()
    }
  }
}

/// What an adapter has to tell its owner. Called on the channels' threads, under locks: keep it for later.
enum NetworkReport: Sendable {
  case addressChanged(EthernetAddress)
  case channelBroken(index: UInt16, String)
  case subChannelNotOffered(String)
}
