// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct VMCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "vm", abstract: "Machines that run.",
    subcommands: [
      VMList.self, VMShow.self, VMStop.self, VMRestart.self, VMPause.self, VMResume.self, VMNMI.self, VMConsole.self,
      VMCopy.self, VMDiskCommand.self, VMDVDCommand.self, VMNICCommand.self, VMFreeze.self, VMThaw.self,
    ])
}
