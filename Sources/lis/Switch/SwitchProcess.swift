// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import FoundationEssentials
import Glibc
import HostSystem

/// A switch's process, between the one that starts it and itself: one line on the new one's standard output says `ready`, or
/// is the error as JSON.
enum SwitchProcess {
  private static let ready = "ready"

  /// Starts the process in a session of its own, with nothing of ours but its standard output, and returns when the switch
  /// is there.
  static func start(_ arguments: [String]) throws(ControlError) {
    let output: [UInt8]
    do throws(SystemError) {
      let pipe = try Descriptor.pipe()
      let nothing = try Descriptor.open("/dev/null", O_RDWR)
      try spawn(["lis", "switch", "serve"] + arguments, input: nothing.number, output: pipe.second.number)
      output = read(pipe)
    } catch {
      throw ControlError(.hostFailure, "the switch's process cannot be started: \(error)")
    }
    let text = String(decoding: output, as: UTF8.self)
    guard text != ready + "\n" else { return }
    guard let error = try? JSONDecoder().decode(ControlError.self, from: Data(output)) else {
      throw ControlError(.hostFailure, "the switch's process ended before the switch was there")
    }
    throw error
  }

  /// All that comes. Our copy of the writing end is closed first, so that it ends.
  private static func read(_ pipe: consuming DescriptorPair) -> [UInt8] {
    let reading = dup(pipe.first.number)
    _ = consume pipe
    var bytes: [UInt8] = []
    while bytes.count < 1 << 16, Stream.readMore(reading, into: &bytes, limit: 4096) {}
    close(reading)
    return bytes
  }

  private static func spawn(_ arguments: [String], input: Int32, output: Int32) throws(SystemError) {
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    unsafe posix_spawn_file_actions_init(&actions)
    unsafe posix_spawnattr_init(&attributes)
    defer {
      unsafe posix_spawn_file_actions_destroy(&actions)
      unsafe posix_spawnattr_destroy(&attributes)
    }
    unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
    unsafe posix_spawn_file_actions_adddup2(&actions, input, 2)
    // POSIX_SPAWN_SETSID: a Ctrl-C on our terminal is not for it.
    unsafe posix_spawnattr_setflags(&attributes, 0x80)
    var list = unsafe arguments.map { unsafe strdup($0) } + [nil]
    defer { for index in unsafe list.indices { unsafe free(list[index]) } }
    var process: pid_t = 0
    let result = unsafe posix_spawn(&process, "/proc/self/exe", &actions, &attributes, &list, environ)
    guard result == 0 else { throw SystemError("posix_spawn", error: result) }
  }

  /// The new process's word to the one that started it. After it there is nobody at standard output.
  static func tell(_ error: ControlError?) {
    if let error {
      let bytes = (try? JSONEncoder().encode(error)).map { [UInt8]($0) } ?? []
      try? Stream.writeAll(1, bytes)
    } else {
      try? Stream.writeAll(1, Array((ready + "\n").utf8))
    }
    guard let nothing = try? Descriptor.open("/dev/null", O_RDWR) else { return }
    dup2(nothing.number, 1)
  }
}
