// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// QEMU's ends of the streams of network frames: those that lead somewhere, and idle ones for the rest, since a saved state
/// has them all.
final class NetworkStreams: Sendable {
  /// One for each, in order.
  let descriptors: [Int32]
  private let idle: [Int32]

  /// `used` are the caller's, who keeps them open.
  init(used: [Int32] = []) throws(SystemError) {
    var descriptors = Array(used.prefix(QEMUCommand.networkCount))
    var idle: [Int32] = []
    while descriptors.count < QEMUCommand.networkCount {
      let pair = try Descriptor.socketPair()
      // Both ends stay open: a port whose other end hung up would be reported to the inner Linux.
      let theirs = fcntl(pair.second.number, F_DUPFD_CLOEXEC, 0)
      let ours = fcntl(pair.first.number, F_DUPFD_CLOEXEC, 0)
      guard theirs >= 0, ours >= 0 else { throw SystemError("dup") }
      descriptors.append(theirs)
      idle += [ours, theirs]
    }
    self.descriptors = descriptors
    self.idle = idle
  }

  deinit { for number in idle { close(number) } }
}
