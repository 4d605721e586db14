// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import HostSystem
import VirtualDisks

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

  init(_ error: ImageError) {
    let text = error.description
    switch error.reason {
    case .store(let store):
      switch store.reason {
      case .noSpace:
        self.init(.hostFailure, text, remedy: "make room; nothing has changed")
      case .inUse: self.init(.busy, text, remedy: "stop the machine or program that uses it")
      case .readOnly: self.init(.input, text, remedy: "make the file writable")
      case .endOfFile: self.init(.input, text, remedy: "the file has become shorter; get it anew")
      case .unsupported where store.operation == .open: self.init(.input, text, remedy: "name a regular file")
      case .system where store.operation == .open:
        self.init(.input, text, remedy: "check the path and its permissions")
      default: self.init(.hostFailure, text)
      }
    case .damaged:
      self.init(.input, text, remedy: "`lis disk check` says more, and --repair puts right what can be")
    case .unsupported:
      self.init(.input, text, remedy: "give the right --disk-format, or convert the image where it comes from")
    case .invalid: self.init(.badRequest, text)
    case .parent:
      self.init(
        .input, text, remedy: "put the right parent there; `lis disk info` says where the image looks for it")
    case .readOnly, .poisoned, .closed: self.init(.hostFailure, text)
    }
  }
}
