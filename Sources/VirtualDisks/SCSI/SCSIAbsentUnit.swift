// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// What answers where no unit is.
///
/// Quirk `inquiry-forced-good`: Linux's storvsc makes a success of whatever INQUIRY ends with, so an absent unit says that
/// it is absent in the data (qualifier 3, type 1F); otherwise a phantom device appears.
public enum SCSIAbsentUnit {
  /// `onTarget`: on the controller's own target, which can say which units there are; otherwise there are none.
  public static func begin(
    _ command: SCSICommand, onTarget: Bool, into response: inout SCSIResponse
  ) -> SCSIOutcome {
    response.clear()
    let step: SCSIStep
    switch command.block.operation {
    case .inquiry:
      response.append(0x7F as UInt8)
      response.append(bytes: [0, 5, 2, 31])
      response.append(zeros: 31)
      step = response.sent(allocation: Int(command.block.uint16(at: 3)), command)
    case .reportUnits:
      step = SCSIIdentity.reportUnits(command, onTarget ? command.units : SCSIUnitSet(rawValue: 0), into: &response)
    default: return .noUnit
    }
    guard case .complete(let outcome) = step else { return .noUnit }
    return outcome
  }
}
