// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// The outer end of the control API: a listening UNIX socket, removed at the end of its life.
struct ControlListener: ~Copyable {
  let descriptor: Descriptor
  private let path: String

  init(at path: String) throws(SystemError) {
    descriptor = try Descriptor.listening(at: path)
    self.path = path
  }

  deinit { _ = unsafe unlink(path) }
}
