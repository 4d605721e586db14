// SPDX-License-Identifier: Apache-2.0

import VMBus

// Not a driver: entry points that use the hall as a driver would, so that scripts/check-embedded sees the code that
// the compiler makes of it for the kernel.

@c(check_post_message)
public func checkPostMessage(_ bytes: UnsafeMutableRawPointer) -> Int32 {
  let message = GuestMessage.unload(Unload())
  let input = PostMessageInput(connection: .messages, payload: message.encoded)
  let buffer = unsafe UnsafeMutableRawBufferPointer(start: bytes, count: PostMessageInput.wireSize)
  var span = unsafe buffer.mutableBytes
  do throws(WireError) {
    try input.encode(into: &span)
    return 0
  } catch {
    return -22
  }
}

@c(check_receive_message)
public func checkReceiveMessage(_ page: UnsafeMutableRawPointer) -> Int32 {
  let slot = unsafe MessageSlot(page: page)
  guard slot.type == SynIC.channelMessageType else { return 0 }
  do throws(WireError) {
    let payload = try slot.copyPayload()
    do throws(MessageError) {
      return Int32(truncatingIfNeeded: try HostMessage(decoding: payload.bytes).type.rawValue)
    } catch {
      return -22
    }
  } catch {
    return -22
  }
}

@c(check_event_flags)
public func checkEventFlags(_ page: UnsafeMutableRawPointer) -> UInt64 {
  let flags = unsafe EventFlags(page: page)
  flags.set(7)
  return flags.take(word: 0)
}
