// SPDX-License-Identifier: Apache-2.0

import CUtils
import DeviceProtocols
import KernelChannel
import KernelSupport
import ServiceClients
import VMBus

/// One device of the bus: a machine, its channel, and for three of them the daemon that does the work.
///
/// C calls with the service's lock held, in threads that may sleep. So there is one thread at a time, and no lock here.
@safe
struct Service: ~Copyable {
  /// Bytes that a packet can have: more than a ring of `utils_probe` holds.
  static var packetCapacity: Int { 16384 }
  static func messageCapacity(of service: IntegrationService) -> Int {
    switch service {
    case .keyValuePair: KeyValueDaemonMessage.byteCount
    case .volumeSnapshot: SnapshotDaemonMessage.byteCount
    case .fileCopy: FileCopyDaemonMessage.byteCount
    case .heartbeat, .shutdown, .timeSynchronization: 8
    }
  }

  let handle: OpaquePointer
  let machine: ServiceMachine
  var rings: ChannelRings? = nil
  var channel: ChannelHandle? = nil

  /// The packet at hand, a private copy.
  let packet: KernelBuffer
  var payloadOffset = 0
  var payloadCount = 0
  var transaction: UInt64 = 0
  /// It is the answer, and waits for room in the ring.
  var isUnsent = false
  /// It is a request that a daemon works on.
  var isHeld = false

  /// What the daemon reads, or has read.
  let message: KernelBuffer
  var daemon = DaemonLink()
  /// What the data exchange daemon registered as.
  var registered: UInt8 = 0

  static func make(_ handle: OpaquePointer, _ service: IntegrationService) -> Service? {
    guard let packet = KernelBuffer(byteCount: packetCapacity),
      let message = KernelBuffer(byteCount: messageCapacity(of: service)), let machine = ServiceMachine.make(service)
    else { return nil }
    return unsafe Service(handle, machine, packet, message)
  }

  private init(
    _ handle: OpaquePointer, _ machine: consuming ServiceMachine, _ packet: consuming KernelBuffer,
    _ message: consuming KernelBuffer
  ) {
    unsafe self.handle = unsafe handle
    self.machine = machine
    self.packet = packet
    self.message = message
  }

  @inline(__always)
  var service: IntegrationService { machine.service }

  // MARK: Channel

  mutating func opened(_ pointer: OpaquePointer) throws(RingError) {
    let channel = unsafe ChannelHandle(pointer)
    machine.begin()
    isUnsent = false
    isHeld = false
    rings = try ChannelRings.make(channel)
    self.channel = channel
  }

  /// Nobody looks at the rings after this. A request that a daemon has is nobody's any more.
  mutating func closing() {
    rings = nil
    channel = nil
    unsafe utils_deadline(handle, 0)
    isUnsent = false
    isHeld = false
    guard daemon.isAsked else { return }
    if daemon.giveUp() { clearMessage() }
  }

  mutating func serve() {
    guard sendIfNeeded() else { return }
    // A host that writes as fast as this reads must not keep the thread.
    var budget = 64
    while mayRead {
      guard budget > 0 else {
        unsafe utils_serve_again(handle)
        return
      }
      budget &-= 1
      guard receive() else { return }
    }
  }

  /// One request at a time; and data exchange waits for its daemon, so that what the host sends first is not lost.
  private var mayRead: Bool {
    !isHeld && !isUnsent && (service != .keyValuePair || daemon.isRegistered)
  }

  /// Takes one packet; false when there is none.
  private mutating func receive() -> Bool {
    let next: Packet?
    do throws(RingError) {
      next = try unsafe rings?.reader.next(into: packet.bytes)
    } catch {
      fail()
      return false
    }
    guard let next else { return false }
    if rings?.reader.commit() == true { channel?.signal() }
    guard next.type == .inBand else { return true }
    payloadOffset = next.payloadOffset
    payloadCount = next.payloadByteCount
    transaction = next.transactionID
    take()
    return true
  }

  @inline(never)
  private mutating func take() {
    let before = machine.version
    var bytes = unsafe payload.mutableBytes
    let answer: ClientAnswer
    do throws(ClientFault) {
      answer = try machine.receive(&bytes)
    } catch {
      report(error)
      return
    }
    if let version = machine.version, version != before { report(version) }
    switch answer {
    case .send:
      isUnsent = true
      _ = sendIfNeeded()
      act()
    case .later:
      isHeld = true
      askDaemon()
    }
  }

  var payload: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: packet.base + payloadOffset, count: payloadCount)
  }

  /// Sends the packet at hand, if it is an answer that was not sent yet. False: it still isn't.
  @inline(never)
  mutating func sendIfNeeded() -> Bool {
    guard isUnsent else { return true }
    for _ in 0..<2 {
      do throws(RingError) {
        let payload = unsafe payload
        try rings?.writer.write(
          type: .inBand, completionRequested: false, transactionID: transaction, payload: unsafe payload.bytes)
        isUnsent = false
        if rings?.writer.commit() == true { channel?.signal() }
        return true
      } catch {
        guard case .full(let needed) = error else {
          fail()
          return false
        }
        // The host signals when it has made room, unless it has already.
        guard rings?.writer.requestSpace(needed) == true else { return false }
      }
    }
    unsafe utils_serve_again(handle)
    return false
  }

  private mutating func fail() {
    channel?.fail(.corrupt)
    rings = nil
  }

  // MARK: After the answer

  @inline(never)
  private mutating func act() {
    switch service {
    case .shutdown:
      switch unsafe machine.shutdown.pointee.takeAction() {
      case .powerOff: unsafe utils_act(handle, UTILS_POWER_OFF)
      case .restart: unsafe utils_act(handle, UTILS_RESTART)
      case .hibernate: unsafe utils_act(handle, UTILS_HIBERNATE)
      default: break
      }
    case .timeSynchronization:
      let now = utils_reference_time()
      if let time = unsafe machine.time.pointee.takeSetting(referenceTime: now) {
        utils_set_clock(Self.nanoseconds(time))
      } else if utils_sets_when_behind(), let time = unsafe machine.time.pointee.hostTime(at: now), isBehind(time) {
        utils_set_clock(Self.nanoseconds(time))
      }
    case .heartbeat, .keyValuePair, .volumeSnapshot, .fileCopy:
      break
    }
  }

  /// Five seconds or more.
  private func isBehind(_ hostTime: UInt64) -> Bool {
    UInt64(bitPattern: Self.nanoseconds(hostTime)) >= KernelTime.realNanoseconds &+ 5_000_000_000
  }

  /// The host's time for the PTP clock; nil without a sample and when that is too old.
  func hostTime() -> Int64? {
    guard service == .timeSynchronization else { return nil }
    let now = utils_reference_time()
    guard unsafe !machine.time.pointee.isStale(at: now), let time = unsafe machine.time.pointee.hostTime(at: now)
    else { return nil }
    return Self.nanoseconds(time)
  }

  /// Since 1970; the machine lets nothing through that would not fit.
  private static func nanoseconds(_ hostTime: UInt64) -> Int64 {
    Int64(truncatingIfNeeded: (hostTime &- TimeSynchronizationClient.earliest) &* 100)
  }

  // MARK: Log

  @inline(never)
  private func report(_ version: ServiceVersion) {
    var line = LogLine(service.name)
    line.text(" ")
    line.decimal(UInt64(version.major))
    line.text(".")
    line.decimal(UInt64(version.minor))
    line.emit()
  }

  @inline(never)
  private func report(_ fault: ClientFault) {
    var line = LogLine(service.name)
    line.text(": a packet of the host is ")
    switch fault {
    case .truncated: line.text("too short")
    case .malformed: line.text("no request")
    case .notNegotiated: line.text("early")
    case .busy: line.text("one too many")
    case .notOutstanding: line.text("unexpected")
    case .badBody: line.text("wrong")
    }
    line.emitLimited(.warning)
  }
}
