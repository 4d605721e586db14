// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

/// Frames and requests over a connected UNIX socket of whole messages. Both ends use it.
final class MessageSocket: Sendable {
  private let table = DescriptorTable()

  func open(_ descriptor: Int32) { table.open([descriptor]) }
  func close() { table.close() }
  var isOpen: Bool { table.isOpen }

  func send(_ frame: FrameView) -> Bool {
    let header = RemoteMessage.header(.frame, tag: frame.tag, offloads: frame.offloads)
    let sent = table.with(queue: 0) { descriptor in
      unsafe withUnsafeBytes(of: header) { header in
        unsafe frame.prefixed(header) { pieces in
          unsafe clinux_send(descriptor, pieces.baseAddress, Int32(pieces.count)) >= 0
        }
      }
    }
    return sent ?? false
  }

  /// Waits up to a second for room: only for the few messages that are no frames.
  func send(_ message: [UInt8]) -> Bool {
    for _ in 0..<100 {
      let sent = table.with(queue: 0) { descriptor in
        unsafe message.withUnsafeBytes { bytes in
          let start = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
          var piece = unsafe iovec(iov_base: start, iov_len: bytes.count)
          return unsafe clinux_send(descriptor, &piece, 1)
        }
      }
      guard let sent else { return false }
      if sent >= 0 { return true }
      guard sent == -Int(EAGAIN) else { return false }
      usleep(10_000)
    }
    return false
  }

  @safe enum Message {
    case content(RemoteMessage.Content, UnsafeRawBufferPointer)
    /// Too long, or not of the protocol.
    case malformed
    case nothing
    case gone(String)
  }

  func receive(into room: UnsafeMutableRawBufferPointer) -> Message {
    let got = table.with(queue: 0) { descriptor in
      unsafe clinux_receive(descriptor, room.baseAddress, min(room.count, Self.maximumMessage))
    }
    guard let got else { return .gone("closed") }
    switch -Int32(clamping: got) {
    case EAGAIN, EINTR: return .nothing
    case EMSGSIZE: return .malformed
    case 0: return .gone("the other end has closed")
    case 1...: return .gone(SystemError.message(Int32(-got)))
    default: break
    }
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: room[..<got])
    guard let content = unsafe RemoteMessage.decode(bytes) else { return .malformed }
    return unsafe .content(content, UnsafeRawBufferPointer(rebasing: bytes[RemoteMessage.headerSize...]))
  }

  static let maximumMessage = RemoteMessage.headerSize + Switch.maximumFrame

  /// Waits for one message that is no frame.
  func answer(within milliseconds: Int32) -> RemoteMessage.Content? {
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.maximumMessage, alignment: 16)
    defer { unsafe room.deallocate() }
    let deadline = clinux_monotonic() + UInt64(milliseconds) * 1_000_000
    while true {
      let now = clinux_monotonic()
      guard now < deadline, let number = table.with(queue: 0, { $0 }) else { return nil }
      var entries = [pollfd(fd: number, events: Int16(POLLIN), revents: 0)]
      _ = Stream.poll(&entries, milliseconds: Int32(clamping: (deadline - now) / 1_000_000 + 1))
      switch unsafe receive(into: room) {
      case .content(.frame, _), .nothing: continue
      case .content(let content, _): return content
      case .malformed, .gone: return nil
      }
    }
  }
}
