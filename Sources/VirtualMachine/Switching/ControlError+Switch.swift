// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
public import VirtualSwitch

extension ControlError {
  /// What a switch said no with, for users.
  public init(_ error: SwitchError) {
    let code: Code =
      switch error {
      case .vlanOutOfRange, .emptyTrunk, .unusableAddress, .payloadOutOfRange: .configuration
      case .addressTaken, .nameTaken: .alreadyExists
      case .noSuchPort: .notFound
      case .noSuchInterface, .notATAP, .captureFailed: .input
      case .interfaceBusy, .full: .busy
      case .notPermitted, .noPasst: .hostUnsupported
      case .noSwitch: .notRunning
      case .refused: .refused
      case .closed: .wrongState
      case .passtFailed, .system: .hostFailure
      }
    self.init(code, "\(error)", remedy: error.remedy)
  }
}
