// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine

/// `lis run`: the thin path until the full set of flags and the YAML file are there.
struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Run a machine in the foreground.")

  @Option var name = "machine"
  @Option var kernel: String
  @Option var initramfs: String?
  @Option var commandLine = ""
  @Option var processors = 1
  /// MiB
  @Option var memory: UInt64 = 512
  @Option var accelerator = "auto"

  func run() async throws {
    let configuration = VirtualMachineConfiguration(
      name: name, processors: processors, memory: ByteCount(rawValue: memory << 20), kernel: kernel,
      initramfs: initramfs, commandLine: commandLine, serial: .interactive,
      accelerator: Accelerator(rawValue: accelerator) ?? .auto, onCrash: .keep)
    let status: ExitStatus
    do throws(ControlError) {
      status = try await MachineRunner.run(configuration) { StandardError.line($0) }
    } catch {
      StandardError.report(error)
      throw ExitCode(error.code.exitCode.rawValue)
    }
    throw ExitCode(status.rawValue)
  }
}
