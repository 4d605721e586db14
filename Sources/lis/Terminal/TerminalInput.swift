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
  /// Ctrl-]
  static let escape: UInt8 = 0x1d

  /// Where the machine reads.
  let input: Int32
  private let pipeEnd: Int32
  private let saved: Mutex<termios?>

  /// nil where a terminal cannot be put into raw mode.
  init?() {
    guard isatty(0) == 1 else {
      input = 0
      pipeEnd = -1
      saved = Mutex(nil)
      return
    }
    var settings = termios()
    guard unsafe tcgetattr(0, &settings) == 0 else { return nil }
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { return nil }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    input = ends[0]
    pipeEnd = ends[1]
    saved = Mutex(settings)
    var raw = settings
    unsafe cfmakeraw(&raw)
    unsafe tcsetattr(0, TCSANOW, &raw)
    let writeEnd = ends[1]
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
  func end() {
    saved.withLock { saved in
      if var settings = saved.take() { unsafe tcsetattr(0, TCSADRAIN, &settings) }
    }
  }

  deinit { end() }

  private static func relay(to descriptor: Int32) {
    unsafe clinux_thread_enter("terminal")
    var buffer = [UInt8](repeating: 0, count: 1024)
    while true {
      let count = unsafe read(0, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        close(descriptor)
        return
      }
      var typed = Array(buffer[..<count])
      if typed.contains(escape) {
        typed.removeAll { $0 == escape }
        kill(getpid(), SIGINT)
      }
      if !typed.isEmpty { _ = unsafe write(descriptor, &typed, typed.count) }
    }
  }
}
