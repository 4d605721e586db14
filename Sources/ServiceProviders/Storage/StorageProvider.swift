// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The host's end of one storage controller, as far as it concerns all of its channels: the handshake, the further
/// channels, resets. Called under the controller's lock; nothing of it is on a request's way.
///
/// Each channel is a `StorageChannel` of its own, which its thread owns. The owner of both makes them meet: it opens
/// channels here, gives their controls to `receive`, and carries the effects out.
public struct StorageProvider: Sendable {
  public let configuration: StorageConfiguration
  /// What the guest and we agreed on; nil before that.
  public private(set) var version: StorageVersion?
  /// Whether the handshake is over.
  public var isReady: Bool { phase == .ready }
  private var phase: Phase = .closed
  private var channels: Set<UInt16> = []
  /// Counts the openings of all channels, so that what concerns an earlier one is not taken for a later one's.
  private var openings: UInt16 = 0
  /// Further channels that were offered since the first was opened.
  private var offered: UInt16 = 0
  private var hasAskedForChannels = false
  /// The first of them is under way. Each occupies a slot of its channel, which bounds them.
  private var resets: [Reset] = []
  /// Channels on which commands are left that the reset under way waits for.
  private var draining: Set<UInt16> = []

  private enum Phase: Sendable {
    case closed
    case opened
    case begun
    case negotiated
    case ready
  }

  private struct Reset: Sendable {
    /// nil: closed meanwhile.
    var channel: UInt16?
    var id: StorageRequestID
    var scope: StorageScope
  }

  public init(_ configuration: StorageConfiguration = StorageConfiguration()) {
    self.configuration = configuration
  }

  // MARK: Channels

  /// The guest opened a channel: 0 the first, the others as they were offered. The channel that was opened under this
  /// number before has been closed.
  public mutating func channelOpened(_ index: UInt16, effects: inout [StorageEffect]) -> StorageChannel {
    if channels.contains(index) { channelClosed(index, effects: &effects) }
    channels.insert(index)
    openings &+= 1
    if index == 0 { phase = .opened }
    // Further channels have no handshake of their own.
    return StorageChannel(
      index: index, opening: openings, configuration: configuration,
      version: index > 0 && phase == .ready ? version : nil)
  }

  /// The channel is gone, and nothing of it is in the back end's hands any more.
  public mutating func channelClosed(_ index: UInt16, effects: inout [StorageEffect]) {
    guard channels.remove(index) != nil else { return }
    if index == 0 {
      phase = .closed
      version = nil
      hasAskedForChannels = false
      if offered > 0 { effects.append(.withdrawSubChannels) }
      offered = 0
    }
    // The reset under way keeps its place, with nobody to answer.
    for number in resets.indices where resets[number].channel == index { resets[number].channel = nil }
    if let first = resets.first { resets = [first] + resets.dropFirst().filter { $0.channel != nil } }
    drained(index, effects: &effects)
  }

  // MARK: Controls

  /// What a channel's `receive` brought that is not a command. Called by the channel's thread.
  public mutating func receive(
    _ control: StorageControl, on channel: inout StorageChannel, effects: inout [StorageEffect]
  ) {
    var status = NTStatus.success
    var body = StorageSlot.Body.none
    switch control.demand {
    case .reset(let scope):
      // Before the handshake is over there is nothing to reset.
      if channel.version == nil { break }
      resets.append(Reset(channel: channel.index, id: control.id, scope: scope))
      if resets.count == 1 { startReset(&effects) }
      return
    case .beginInitialization:
      if channel.index == 0, phase == .opened { phase = .begun } else { status = .invalidDeviceState }
    case .queryVersion(let wanted):
      if channel.index != 0 || phase != .begun && phase != .negotiated {
        status = .invalidDeviceState
      } else if wanted.isKnown, wanted <= configuration.maximumVersion {
        version = wanted
        phase = .negotiated
        body = .version(wanted)
      } else {
        status = .revisionMismatch
        body = .version(configuration.maximumVersion)
      }
    case .queryProperties:
      if channel.index == 0, phase == .negotiated {
        body = .properties(properties)
      } else {
        status = .invalidDeviceState
      }
    case .endInitialization:
      if channel.index == 0, phase == .negotiated {
        phase = .ready
        channel.version = version
      } else {
        status = .invalidDeviceState
      }
    case .createSubChannels(let count):
      status = createSubChannels(count, on: channel.index, &effects)
    }
    if status != .success { channel.countRefusal() }
    channel.answer(control.id, status, body)
  }

  private var properties: StorageProperties {
    guard let version, version.hasSubChannels else {
      return StorageProperties(maximumSubChannels: 0, maximumTransferBytes: configuration.maximumTransferBytes)
    }
    return configuration.properties
  }

  /// More than the maximum is refused whole: Linux then goes on with one channel.
  private mutating func createSubChannels(
    _ count: UInt16, on channel: UInt16, _ effects: inout [StorageEffect]
  ) -> NTStatus {
    guard channel == 0, phase == .ready, !hasAskedForChannels else { return .invalidDeviceState }
    guard count <= properties.maximumSubChannels else { return .invalidParameter }
    if count > 0 {
      hasAskedForChannels = true
      offered = count
      effects.append(.offerSubChannels(count))
    }
    return .success
  }

  // MARK: Resets

  /// Nothing is left on the channel that the reset under way waits for.
  public mutating func drained(_ index: UInt16, effects: inout [StorageEffect]) {
    guard draining.remove(index) != nil, draining.isEmpty, !resets.isEmpty else { return }
    let reset = resets.removeFirst()
    if let channel = reset.channel { effects.append(.answer(channel: channel, reset.id, .success)) }
    startReset(&effects)
  }

  /// Starts the first of the resets that wait. Its own channel is open, so it waits for one channel at least.
  private mutating func startReset(_ effects: inout [StorageEffect]) {
    guard let reset = resets.first else { return }
    draining = channels
    effects.append(.reset(reset.scope, channels: channels.sorted()))
  }
}
