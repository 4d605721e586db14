// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The guest's end of a storage controller, as far as it concerns all of its channels: the handshake on the first channel,
/// how many others there are, resets. Requests go through `StorageQueue`, one per channel.
///
/// A value without threads, clocks or I/O. The shell sends what it is given on the first channel, and gives answers that
/// a queue says are the client's to `receive`.
public struct StorageClient: Sendable {
  public enum State: Hashable, Sendable {
    case closed
    case beginning
    /// The version with this index has been asked for.
    case askingVersion(Int)
    case askingProperties
    case ending
    case askingForChannels
    case ready
    /// For good, until the channel is opened again.
    case failed(StorageClientFault)
  }

  /// What comes next.
  public enum Step: Sendable {
    /// Send it in-band on the first channel.
    case send(StoragePacket)
    /// Devices may be looked for.
    case ready
    case failed(StorageClientFault)
    case resetDone
  }

  public private(set) var state = State.closed
  public private(set) var version = StorageVersion.v6_2
  /// Longest request: what the host said, in whole pages, and no more than the shell can build.
  public private(set) var maximumTransferBytes: UInt32 = 0
  /// Further channels that the host may offer: what we asked for and it granted.
  public private(set) var subChannels: UInt16 = 0
  /// Answers dropped since the channel was opened.
  public private(set) var faults: UInt64 = 0
  private let wantedSubChannels: UInt16
  private let largestTransfer: UInt32
  /// The id of the control that is outstanding, and what the next one gets. Never meets a queue's: see `firstID`.
  private var outstanding: UInt64?
  private var resetting: UInt64?
  private var nextID = Self.firstID

  /// Ids of requests are below this.
  static let firstID: UInt64 = 1 &<< 48

  /// `largestTransfer`: bytes for which the shell has scatter lists. `wantedSubChannels`: processors less one, say.
  public init(largestTransfer: UInt32 = 1 &<< 20, wantedSubChannels: UInt16 = 0) {
    self.largestTransfer = largestTransfer & ~4095
    self.wantedSubChannels = wantedSubChannels
  }

  /// The versions that are asked for, best first.
  private static func version(at index: Int) -> StorageVersion? {
    switch index {
    case 0: .v6_2
    case 1: .v6_0
    case 2: .v5_1
    default: nil
    }
  }

  /// The first channel was opened (again): everything starts anew with the packet that is returned.
  public mutating func channelOpened() -> StoragePacket {
    state = .beginning
    maximumTransferBytes = 0
    subChannels = 0
    faults = 0
    resetting = nil
    return control(.beginInitialization)
  }

  public mutating func channelClosed() {
    state = .closed
    outstanding = nil
    resetting = nil
  }

  /// The host let the shell wait too long for the answer of the bring-up.
  public mutating func giveUp() {
    outstanding = nil
    if state != .ready, state != .closed { state = .failed(.refused) }
  }

  /// Whether a sub-channel that the host offers is one that we asked for. `index` counts from 1.
  public func accepts(subChannel index: UInt16) -> Bool {
    (state == .ready || state == .askingForChannels) && index > 0 && index <= subChannels
  }

  /// Asks the host to give up everything that is outstanding; ends with `resetDone`. nil: one is under way.
  public mutating func reset() throws(StorageClientFault) -> StoragePacket {
    guard state == .ready, resetting == nil else { throw .wrongState }
    let packet = StoragePacket(.resetBus, transactionID: takeID())
    resetting = packet.transactionID
    return packet
  }

  /// An answer that is no request's. `packet` is a private copy of the payload, 64 bytes at least.
  public mutating func receive(
    _ packet: RawSpan, transactionID: UInt64
  ) throws(StorageClientFault) -> Step {
    if let resetting, transactionID == resetting {
      self.resetting = nil
      return .resetDone
    }
    guard let outstanding, transactionID == outstanding else {
      faults &+= 1
      throw .notOutstanding
    }
    self.outstanding = nil
    do throws(WireError) {
      let header = try StorageHeader(decoding: packet)
      guard header.operation == .completion else { return fail(.malformed) }
      return try advance(header.status.rawValue == 0, packet)
    } catch {
      return fail(.truncated)
    }
  }

  private mutating func advance(_ succeeded: Bool, _ packet: RawSpan) throws(WireError) -> Step {
    switch state {
    case .beginning:
      guard succeeded else { return fail(.refused) }
      return askVersion(0)
    case .askingVersion(let index):
      if !succeeded { return askVersion(index &+ 1) }
      guard let agreed = Self.version(at: index) else { return fail(.noVersion) }
      version = agreed
      state = .askingProperties
      return .send(control(.queryProperties))
    case .askingProperties:
      guard succeeded else { return fail(.refused) }
      let properties = try StorageProperties(decodingBodyOf: packet)
      let maximum = properties.maximumTransferBytes & ~4095
      guard maximum > 0 else { return fail(.badProperties) }
      maximumTransferBytes = maximum < largestTransfer ? maximum : largestTransfer
      let granted = properties.hasSubChannels ? properties.maximumSubChannels : 0
      subChannels = granted < wantedSubChannels ? granted : wantedSubChannels
      state = .ending
      return .send(control(.endInitialization))
    case .ending:
      guard succeeded else { return fail(.refused) }
      if subChannels == 0 { return becomeReady() }
      state = .askingForChannels
      return .send(control(.createSubChannels, body: UInt32(subChannels)))
    case .askingForChannels:
      // A refusal means that one channel has to do.
      if !succeeded { subChannels = 0 }
      return becomeReady()
    case .closed, .ready, .failed: return fail(.wrongState)
    }
  }

  private mutating func askVersion(_ index: Int) -> Step {
    guard let asked = Self.version(at: index) else { return fail(.noVersion) }
    state = .askingVersion(index)
    return .send(control(.queryVersion, body: UInt32(asked.rawValue)))
  }

  private mutating func becomeReady() -> Step {
    state = .ready
    return .ready
  }

  private mutating func fail(_ fault: StorageClientFault) -> Step {
    faults &+= 1
    state = .failed(fault)
    return .failed(fault)
  }

  private mutating func control(_ operation: StorageOperation, body: UInt32 = 0) -> StoragePacket {
    let packet = StoragePacket(operation, transactionID: takeID(), body: body)
    outstanding = packet.transactionID
    return packet
  }

  private mutating func takeID() -> UInt64 {
    nextID = nextID &+ 1 < 1 &<< 49 ? nextID &+ 1 : Self.firstID
    return nextID
  }
}
