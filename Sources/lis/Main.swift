// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SoftwareMachine

/// The program's entry: the command line, or the inner half of the software machine.
@main
enum Main {
  static func main() async {
    if InnerMachine.isThisProcess { await MachineRunner.runInside() }
    await Lis.main()
  }
}
