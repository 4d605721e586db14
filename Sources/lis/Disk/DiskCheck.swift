// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualDisks

struct DiskCheck: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Check an image's structures, and those of its parents.",
    discussion: """
      Names what is wrong by file, structure and offset. Without --repair nothing is written. Ends with \
      \(ExitStatus.input.rawValue) when something is damaged.
      """)

  @OptionGroup var image: ImageArgument

  @Flag(help: "Put right what has a sound copy in the file itself (never a guest's data).")
  var repair = false

  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    var check = ImageCheck(image.path)
    check.options = image.options.chain
    check.repairs = repair
    let order = check
    let result = try await DiskWork.run { (_) throws(OperationError) in try order.perform() }
    StandardOutput.write(format.rendering.diskCheck(DiskCheckReport(image.path, result)))
    guard result.isSound else {
      let remedy =
        result.findings.contains { $0.isDamage && $0.isRepairable }
        ? "repair it with --repair" : "restore it from a backup"
      throw ControlError(.input, "\(image.path) is damaged", remedy: remedy)
    }
  }
}

extension DiskCheckReport {
  init(_ path: String, _ result: ImageCheck.Result) {
    self.init(
      path: path, sound: result.isSound, repaired: result.repaired,
      findings: result.findings.map { finding in
        let error = finding.error
        let problem =
          switch error.reason {
          case .damaged(let what), .unsupported(let what), .invalid(let what), .parent(let what): what
          default: error.description
          }
        return Finding(
          file: error.file, structure: error.structure, offset: error.offset, problem: problem,
          severity: finding.isDamage ? "damage" : "note", repairable: finding.isRepairable)
      })
  }
}
