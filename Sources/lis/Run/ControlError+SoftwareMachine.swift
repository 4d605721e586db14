// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import SoftwareMachine

extension ControlError {
  init(_ error: AcceleratorError) { self.init(.hostUnsupported, error.description) }

  init(_ error: SoftwareMachineError) {
    switch error {
    case .unsupported, .noQEMU: self.init(.hostUnsupported, error.description)
    case .file: self.init(.input, error.description, remedy: "check the path and its permissions")
    // A signal on its way into the machine found nobody listening yet.
    case .innerCrash(SIGINT), .innerCrash(SIGTERM), .innerCrash(SIGHUP):
      self.init(.cancelled, "given up on request, before the machine started")
    case .interrupted: self.init(.cancelled, error.description)
    case .preparation, .qemu, .innerLinux, .innerCrash: self.init(.hostFailure, error.description)
    }
  }
}
