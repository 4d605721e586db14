// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import VirtualDisks
import VirtualMachine

extension ControlError {
  /// An operation's error as the command line reports it: which file, which structure, where, and what to do.
  init(_ error: OperationError) {
    switch error {
    case .image(let error): self.init(error)
    case .exists(let path): self.init(.alreadyExists, "\(path) exists", remedy: "use --overwrite to replace it")
    case .refused(let what, let remedy): self.init(.badRequest, what, remedy: remedy)
    case .cancelled: self.init(.cancelled, "cancelled, nothing has changed")
    }
  }
}
