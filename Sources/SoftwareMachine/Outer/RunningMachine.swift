// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// A restored machine: QEMU's process and our ends of what connects us.
struct RunningMachine: ~Copyable {
  let process: ChildProcess
  /// The link to the inner program.
  let port: Descriptor
  let serial: Descriptor
  /// QEMU's own standard output and error.
  let messages: Descriptor
  let networks: NetworkStreams
}

extension RunningMachine {
  init(
    qemu: String, memoryMebibytes: Int, state: borrowing Descriptor, images: borrowing Descriptor,
    window: borrowing Descriptor, networks: [Int32], files: [Int32]
  ) throws(SystemError) {
    let null = try Descriptor.open("/dev/null", O_RDWR)
    let messages = try Descriptor.pipe()
    let port = try Descriptor.socketPair()
    let serial = try Descriptor.socketPair()
    let networks = try NetworkStreams(used: networks)
    let process = try ChildProcess(
      qemu, QEMUCommand.restore(memoryMebibytes: memoryMebibytes, fileCount: files.count),
      descriptors: [
        null.number, messages.second.number, messages.second.number, port.second.number, serial.second.number,
        state.number, images.number, window.number,
      ] + networks.descriptors + files)
    // QEMU's ends close here: what it closes is closed.
    self.init(
      process: process, port: port.first, serial: serial.first, messages: messages.first,
      networks: networks)
  }
}
