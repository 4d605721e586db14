// SPDX-License-Identifier: Apache-2.0

/// What a control server answers for.
enum Served: Sendable {
  case machine(any VirtualMachineControl)
  case virtualSwitch(any SwitchControl)

  var routes: [Route] {
    switch self {
    case .machine: Routes.all
    case .virtualSwitch: SwitchRoutes.all
    }
  }
}
