// SPDX-License-Identifier: Apache-2.0

import CVMBus
import KernelSupport
import Synchronization
import VMBus
import VMBusGuest

/// SynIC message type of a timer's expiry, where timers have no vector of their own.
private let timerMessageType: UInt32 = 0x8000_0010

/// Counts the host's answers to unloads that any processor has taken out of its slot.
private let unloadAnswers = Atomic<UInt32>(0)

private func isUnloadAnswer(_ payload: borrowing MessageBuffer) -> Bool {
  (try? payload.bytes.read(UInt32.self, at: 0)) == MessageType.unloadResponse.rawValue
}

/// The bus's interrupt, in hard interrupt context, on the processor whose pages these are. Needs no bus and no lock.
@c(bus_interrupt)
public func busInterrupt(_ messagePage: UnsafeMutableRawPointer, _ eventPage: UnsafeMutableRawPointer) {
  takeMessage(unsafe MessageSlot(page: messagePage))
  let flags = unsafe EventFlags(page: eventPage)
  for word in 0..<UInt32(32) {
    var bits = flags.take(word: word)
    while bits != 0 {
      vb_channel_signalled(word &* 64 &+ UInt32(truncatingIfNeeded: bits.trailingZeroBitCount))
      bits &= bits &- 1
    }
  }
}

/// After a full queue had room again, on the slot's processor, with interrupts off.
@c(bus_take_message)
public func busTakeMessage(_ messagePage: UnsafeMutableRawPointer) {
  takeMessage(unsafe MessageSlot(page: messagePage))
}

@inline(never)
private func takeMessage(_ slot: MessageSlot) {
  switch slot.type {
  case 0: return
  case SynIC.channelMessageType:
    // A message that has no place in the queue stays where it is: the host keeps the next ones.
    if let payload = try? slot.copyPayload() {
      if isUnloadAnswer(payload) { unloadAnswers.wrappingAdd(1, ordering: .releasing) }
      let kept = unsafe payload.bytes.withUnsafeBytes { bytes in
        unsafe vb_keep_message(bytes.baseAddress, UInt32(truncatingIfNeeded: bytes.count))
      }
      guard kept else { return }
    }
  case timerMessageType: vb_timer_expired()
  default: break
  }
  if slot.release() { vb_write_end_of_message() }
}

/// The end of the connection when the kernel has crashed or jumps to another: nobody else runs, no lock may be taken.
/// `page` is memory for one hypercall's input, `messagePage` that of the processor that takes the host's messages.
@c(bus_crash_unload)
public func busCrashUnload(
  _ bus: UnsafeMutableRawPointer, _ page: UnsafeMutableRawPointer, _ messagePage: UnsafeMutableRawPointer
) -> Int32 {
  let answersBefore = unloadAnswers.load(ordering: .acquiring)
  switch unsafe bus.bus.pointee.client.state {
  case .disconnected, .contacting: return 0
  case .unloading: break
  case .connected:
    let message = GuestMessage.unload(Unload())
    let input = unsafe PostMessageInput(connection: bus.bus.pointee.client.connection, payload: message.encoded)
    let buffer = unsafe UnsafeMutableRawBufferPointer(start: page, count: PostMessageInput.wireSize)
    var bytes = unsafe buffer.mutableBytes
    do throws(WireError) { try input.encode(into: &bytes) } catch { return EINVAL }
    var tries = 0
    while tries < 100 {
      let status = unsafe HypercallStatus(rawValue: vb_post(page))
      if status == .success { break }
      guard status.isTransient || status == .invalidConnectionID else { return EIO }
      KernelTime.delay(microseconds: 900)
      tries &+= 1
    }
  }
  // Other messages may lie before the answer, and the slot's processor may still run and take it. A host may have much
  // to write to its disks before it answers: 100 seconds.
  let slot = unsafe MessageSlot(page: messagePage)
  var looks = 0
  while looks < 200_000 {
    if unloadAnswers.load(ordering: .acquiring) != answersBefore { return 0 }
    if slot.type != 0 {
      var answered = false
      if slot.type == SynIC.channelMessageType, let payload = try? slot.copyPayload() {
        answered = isUnloadAnswer(payload)
      }
      if slot.release() { vb_write_end_of_message() }
      if answered { return 0 }
    } else {
      KernelTime.delay(microseconds: 500)
    }
    looks &+= 1
  }
  return EIO
}
