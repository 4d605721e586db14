// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Synchronization

/// What a person types while a machine is in the foreground.
///
/// On a terminal: it is put into raw mode, so that every key but one reaches the guest; the escape key, Ctrl-], does what
/// Ctrl-C does elsewhere (SIGINT to this process). What was typed comes out of a pipe, so that both kinds of machine read
/// a descriptor. Not on a terminal: standard input as it is.
final class TerminalInput: Sendable {
  /// Where the machine reads.
  let input: Int32

  /// The terminal's settings from before, while it is raw. There is one standard input.
  private static let saved = Mutex<termios?>(nil)

  /// nil where a terminal cannot be put into raw mode.
  init?() {
    guard isatty(0) == 1 else {
      input = 0
      return
    }
    var settings = termios()
    guard unsafe tcgetattr(0, &settings) == 0 else { return nil }
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { return nil }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    input = ends[0]
    let writeEnd = ends[1]
    _ = fcntl(writeEnd, F_SETFL, O_NONBLOCK)
    Self.saved.withLock { $0 = settings }
    // However the process ends by itself, a closed pipe included.
    atexit { TerminalInput.restore() }
    var raw = settings
    unsafe cfmakeraw(&raw)
    unsafe tcsetattr(0, TCSANOW, &raw)
    // Not joined: it sleeps in a read of the terminal that nothing ends but the end of the process.
    var thread = pthread_t()
    unsafe pthread_create(
      &thread, nil,
      { argument in
        TerminalInput.relay(to: Int32(truncatingIfNeeded: UInt(bitPattern: argument)))
        return nil
      }, UnsafeMutableRawPointer(bitPattern: UInt(writeEnd)))
    pthread_detach(thread)
  }

  /// Gives the terminal back as it was.
  func end() { Self.restore() }

  deinit { end() }

  private static func restore() {
    saved.withLock { saved in
      if var settings = saved.take() { unsafe tcsetattr(0, TCSADRAIN, &settings) }
    }
  }

  /// Goes on reading while the machine takes nothing, so that the escape key always works.
  private static func relay(to descriptor: Int32) {
    unsafe clinux_thread_enter("terminal")
    var typed = TypedText()
    var buffer = [UInt8](repeating: 0, count: 4096)
    var isOpen = true
    while isOpen || !typed.waiting.isEmpty {
      var polled = [
        pollfd(fd: isOpen ? 0 : -1, events: Int16(POLLIN), revents: 0),
        pollfd(fd: typed.waiting.isEmpty ? -1 : descriptor, events: Int16(POLLOUT), revents: 0),
      ]
      guard unsafe poll(&polled, 2, -1) >= 0 || errno == EINTR else { break }
      if polled[0].revents != 0 {
        let count = unsafe read(0, &buffer, buffer.count)
        if count > 0 {
          if typed.append(buffer[..<count]) { kill(getpid(), SIGINT) }
        } else if count == 0 || (errno != EINTR && errno != EAGAIN) {
          isOpen = false
        }
      }
      if polled[1].revents != 0 || !typed.waiting.isEmpty {
        let written = unsafe typed.waiting.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
        if written > 0 { typed.waiting.removeFirst(written) }
        if written < 0, errno != EAGAIN, errno != EINTR { break }
      }
    }
    close(descriptor)
  }
}

/// Keys on their way from the terminal to the guest.
struct TypedText {
  /// Ctrl-]
  static let escape: UInt8 = 0x1d
  /// What a guest that reads nothing may leave waiting; more is dropped.
  static let limit = 1 << 20

  var waiting: [UInt8] = []

  /// True: the escape key was among them.
  mutating func append(_ keys: ArraySlice<UInt8>) -> Bool {
    let text = keys.filter { $0 != Self.escape }
    waiting += text.prefix(Self.limit - waiting.count)
    return text.count < keys.count
  }
}
