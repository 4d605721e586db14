// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The guest's end of the VMBus: a value without threads, clocks or I/O, and without allocations, so that it lives in a
/// kernel module as well as in a test. Its tables lie in memory that the shell gives it.
///
/// The host may be hostile: what it sends out of turn is dropped and counted, and nothing that it sends traps.
public struct BusClient: ~Copyable {
  public enum State: Equatable, Sendable {
    case disconnected
    /// The version with this index (`ProtocolVersion.supported`) has been asked for.
    case contacting(Int)
    case connected(ProtocolVersion)
    case unloading
  }

  public private(set) var state = State.disconnected
  /// Where the client posts once connected.
  public private(set) var connection = ConnectionID.legacyMessages
  public internal(set) var offersRequested = false
  /// The processor that takes the host's messages.
  public let targetVP: VPIndex
  let newestVersion: ProtocolVersion
  let pages: ContactPages

  let channels: FixedTable<ClientChannel>
  let gpadls: FixedTable<ClientGPADL>
  /// Linux starts here too; the host must take any number.
  var nextGPADL: UInt32 = 0xE1E10
  var nextOpen: UInt32 = 1
  private var refusalCounts: InlineArray<32, UInt32>

  /// Bytes of memory for the tables of so many channels and GPADLs.
  public static func tableBytes(channels: Int, gpadls: Int) -> Int {
    // Channels first: their alignment is the greater.
    FixedTable<ClientChannel>.byteCount(capacity: channels) &+ FixedTable<ClientGPADL>.byteCount(capacity: gpadls)
  }

  /// `tables` is `tableBytes` of memory, aligned to 16, that stays until the client is used no more.
  public init(
    targetVP: VPIndex = VPIndex(0), newestVersion: ProtocolVersion = .v5_3, pages: ContactPages,
    tables: UnsafeMutableRawPointer, channelCapacity: Int, gpadlCapacity: Int
  ) {
    self.targetVP = targetVP
    self.newestVersion = newestVersion
    self.pages = pages
    unsafe channels = FixedTable(memory: tables, capacity: channelCapacity, repeating: .free)
    unsafe gpadls = FixedTable(
      memory: tables + FixedTable<ClientChannel>.byteCount(capacity: channelCapacity), capacity: gpadlCapacity,
      repeating: .free)
    refusalCounts = InlineArray(repeating: 0)
  }

  // MARK: The connection

  /// Asks the host for the newest version; its refusals lead to the older ones. Ends with `connected` or
  /// `connectFailed`.
  public mutating func connect(to sink: inout some BusClientSink & ~Copyable) throws(BusClientError) {
    guard state == .disconnected else { throw .wrongState }
    contact(from: 0, &sink)
  }

  /// The host has not answered the contact in the shell's time: asks for the next version.
  public mutating func contactTimedOut(_ sink: inout some BusClientSink & ~Copyable) {
    guard case .contacting(let index) = state else { return }
    contact(from: index &+ 1, &sink)
  }

  /// Asks for the devices; each comes as `offered`, then `offersDelivered`.
  public mutating func requestOffers(_ sink: inout some BusClientSink & ~Copyable) throws(BusClientError) {
    guard case .connected = state, !offersRequested else { throw .wrongState }
    try post(.requestOffers(RequestOffers()), &sink)
    offersRequested = true
  }

  /// Gives everything up; ends with `unloaded`. The host uses none of our memory after that.
  public mutating func unload(_ sink: inout some BusClientSink & ~Copyable) throws(BusClientError) {
    guard case .connected = state else { throw .wrongState }
    try post(.unload(Unload()), &sink)
    state = .unloading
  }

  /// The host has not answered the unload in the shell's time. What it may still use must not be freed.
  public mutating func abandon() { disconnect() }

  /// Tries versions until one contact is posted.
  private mutating func contact(from first: Int, _ sink: inout some BusClientSink & ~Copyable) {
    var index = first
    while let version = ProtocolVersion.supported(at: index) {
      if version <= newestVersion {
        let message = InitiateContact(
          version: version, targetVP: targetVP,
          interruptPageOrTarget: version.usesMessageConnection
            ? InitiateContact.target(sint: SynIC.busInterrupt) : pages.interrupt,
          hostToGuestMonitorPage: pages.hostToGuestMonitor, guestToHostMonitorPage: pages.guestToHostMonitor)
        state = .contacting(index)
        let port: ConnectionID = version.usesMessageConnection ? .messages : .legacyMessages
        let status = sink.post(MessageBuffer(message), to: port)
        if status == .success { return }
        // "No such port": a host below 5.0, which has an older version for us.
        if status != .invalidConnectionID {
          state = .disconnected
          sink.handle(.connectFailed(.post(status)))
          return
        }
      }
      index &+= 1
    }
    state = .disconnected
    sink.handle(.connectFailed(.noCommonVersion))
  }

  mutating func versionResponse(_ message: VersionResponse, _ sink: inout some BusClientSink & ~Copyable) {
    guard case .contacting(let index) = state, let version = ProtocolVersion.supported(at: index) else {
      return refuse(.versionNotAsked, &sink)
    }
    guard message.isSupported, message.state == .successful else { return contact(from: index &+ 1, &sink) }
    state = .connected(version)
    connection = version.usesMessageConnection ? ConnectionID(message.versionOrConnection) : .legacyMessages
    sink.handle(.connected(version))
  }

  mutating func unloadResponse(_ sink: inout some BusClientSink & ~Copyable) {
    guard state == .unloading else { return refuse(.unloadNotAsked, &sink) }
    disconnect()
    sink.handle(.unloaded)
  }

  private mutating func disconnect() {
    state = .disconnected
    offersRequested = false
    for index in 0..<channels.capacity { channels[index] = .free }
    for index in 0..<gpadls.capacity { gpadls[index] = .free }
  }

  // MARK: For the other parts

  mutating func post(
    _ message: GuestMessage, _ sink: inout some BusClientSink & ~Copyable
  ) throws(BusClientError) {
    let status = sink.post(message.encoded, to: connection)
    guard status == .success else { throw .post(status) }
  }

  /// How often each refusal happened.
  public func count(of refusal: BusClientRefusal) -> UInt32 { refusalCounts[Int(refusal.rawValue) & 31] }

  mutating func refuse(_ refusal: BusClientRefusal, _ sink: inout some BusClientSink & ~Copyable) {
    refusalCounts[Int(refusal.rawValue) & 31] &+= 1
    sink.handle(.refused(refusal))
  }
}
