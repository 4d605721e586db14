// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// Runs a program of the host and gives what it prints.
enum Command {
  struct Failed: Error { let text: String }

  @discardableResult
  static func run(_ program: String, _ arguments: [String]) throws -> String {
    let quoted = ([program] + arguments).map { "'\($0)'" }.joined(separator: " ")
    guard let stream = unsafe popen(quoted + " 2>&1", "r") else { throw Failed(text: "popen") }
    var text: [UInt8] = []
    var room = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe fread(&room, 1, room.count, stream)
      guard count > 0 else { break }
      text += room[..<count]
    }
    let words = String(decoding: text, as: UTF8.self)
    guard unsafe pclose(stream) == 0 else { throw Failed(text: "\(quoted): \(words)") }
    return words
  }
}
