// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import SoftwareMachine

extension ControlError {
  init(_ error: AcceleratorError) { self.init(.hostUnsupported, error.description) }

  init(_ error: SoftwareMachineError) {
    switch error {
    case .unsupported, .noQEMU: self.init(.hostUnsupported, error.description)
    case .file: self.init(.input, error.description, remedy: "check the path and its permissions")
    case .interrupted: self.init(.cancelled, error.description)
    case .preparation, .qemu, .innerLinux, .innerCrash: self.init(.hostFailure, error.description)
    }
  }
}
