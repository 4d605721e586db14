// SPDX-License-Identifier: Apache-2.0

import CUtils
import DeviceProtocols
import KernelSupport
import ServiceClients
import VMBus

/// The daemon's device. What is read and written there is `KeyValueDaemonMessage` and its like.
extension Service {
  /// How long the host's administrator is kept waiting: freezing writes out whatever the guest has in memory.
  private static var deadline: UInt32 { 30 }
  private static var freezeDeadline: UInt32 { 15 * 60 }

  // MARK: To the daemon

  /// Hands the request on, or answers it when nobody can take it.
  @inline(never)
  mutating func askDaemon() {
    var size: Int?
    var refusal = IntegrationStatus.failure
    if daemon.state == .ready {
      do throws(WireError) { size = try encodeRequest() } catch { refusal = .invalidArgument }
    }
    guard let size, daemon.ask() else { return answer(refusal) }
    unsafe utils_message_waits(handle, size)
    unsafe utils_deadline(handle, isFreeze ? Self.freezeDeadline : Self.deadline)
  }

  private var isFreeze: Bool {
    guard service == .volumeSnapshot else { return false }
    return unsafe machine.snapshot.pointee.operation == .freeze
  }

  /// Writes the daemon's form of the request; nil when there is none.
  private func encodeRequest() throws(WireError) -> Int? {
    var message = unsafe message.bytes.mutableBytes
    let packet = unsafe payload.bytes
    switch service {
    case .keyValuePair:
      guard let request = unsafe machine.keyValuePair.pointee.request else { return nil }
      try KeyValueDaemonMessage.encode(request, from: packet, into: &message)
      return KeyValueDaemonMessage.byteCount
    case .volumeSnapshot:
      guard let operation = unsafe machine.snapshot.pointee.operation else { return nil }
      try SnapshotDaemonMessage.encode(operation, into: &message)
      return SnapshotDaemonMessage.byteCount
    case .fileCopy:
      guard let request = unsafe machine.fileCopy.pointee.request else { return nil }
      return try FileCopyDaemonMessage.encode(request, from: packet, into: &message)
    case .heartbeat, .shutdown, .timeSynchronization:
      return nil
    }
  }

  func clearMessage() { unsafe utils_message_waits(handle, 0) }

  /// Answers the host's request with no more than a status.
  private mutating func answer(_ status: IntegrationStatus) {
    guard isHeld else { return }
    var bytes = unsafe payload.mutableBytes
    do throws(ClientFault) { try machine.answer(status, in: &bytes) } catch { return }
    sendHeld()
  }

  private mutating func sendHeld() {
    isHeld = false
    isUnsent = true
    unsafe utils_deadline(handle, 0)
    _ = sendIfNeeded()
    // The next request may have been there for long.
    unsafe utils_serve_again(handle)
  }

  mutating func timeout() {
    guard isHeld else { return }
    if daemon.giveUp() { clearMessage() }
    answer(.failure)
  }

  // MARK: From the daemon

  mutating func deviceOpen() throws(DaemonFault) { try daemon.open() }

  mutating func deviceClose() {
    clearMessage()
    if daemon.close() { answer(.failure) }
  }

  /// The daemon has read what waited.
  mutating func deviceRead() {
    clearMessage()
    daemon.read()
    if daemon.state == .ready { unsafe utils_serve_again(handle) }
  }

  mutating func deviceWrite(_ bytes: RawSpan) throws(DaemonFault) {
    switch service {
    case .keyValuePair: try keyValueWrite(bytes)
    case .volumeSnapshot: try snapshotWrite(bytes)
    case .fileCopy: try fileCopyWrite(bytes)
    case .heartbeat, .shutdown, .timeSynchronization: throw .invalid
    }
  }

  /// The answer to a registration, `size` bytes, waits for the daemon; none for the oldest ones.
  private mutating func register(size: Int) throws(DaemonFault) {
    try daemon.register(greets: size > 0)
    unsafe utils_message_waits(handle, size)
    if size == 0 { unsafe utils_serve_again(handle) }
  }

  private mutating func keyValueWrite(_ bytes: RawSpan) throws(DaemonFault) {
    guard bytes.byteCount >= KeyValueDaemonMessage.byteCount else { throw .invalid }
    guard daemon.isRegistered else {
      var message = unsafe message.bytes.mutableBytes
      registered = try KeyValueDaemonMessage.register(bytes, answer: &message)
      return try register(size: KeyValueDaemonMessage.byteCount)
    }
    try daemon.reply()
    guard isHeld else { throw .invalid }
    var packet = unsafe payload.mutableBytes
    do throws(ClientFault) {
      try unsafe KeyValueDaemonMessage.answer(
        bytes, registered: registered, by: &machine.keyValuePair.pointee, in: &packet)
      sendHeld()
    } catch {
      // What the daemon wrote makes no answer.
      answer(.failure)
    }
  }

  private mutating func snapshotWrite(_ bytes: RawSpan) throws(DaemonFault) {
    if try SnapshotDaemonMessage.isRegistration(bytes) {
      guard !daemon.isAsked else { throw .invalid }
      var message = unsafe message.bytes.mutableBytes
      let greets = try SnapshotDaemonMessage.register(bytes, answer: &message)
      return try register(size: greets ? SnapshotDaemonMessage.greetingByteCount : 0)
    }
    let result = try SnapshotDaemonMessage.result(bytes)
    try daemon.reply()
    guard isHeld else { throw .invalid }
    answer(result)
  }

  private mutating func fileCopyWrite(_ bytes: RawSpan) throws(DaemonFault) {
    let result = try FileCopyDaemonMessage.result(bytes)
    guard daemon.isRegistered else {
      var message = unsafe message.bytes.mutableBytes
      return try register(size: FileCopyDaemonMessage.register(bytes, answer: &message))
    }
    try daemon.reply()
    guard isHeld else { throw .invalid }
    answer(result)
  }
}
