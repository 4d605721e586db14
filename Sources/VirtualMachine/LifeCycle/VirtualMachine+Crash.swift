// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Dispatch
import Partition

extension VirtualMachine {
  /// Linux reports a crash up to twice: its registers first, then the end of its log. The policy waits this long for the
  /// second.
  static let crashTextDelay = DispatchTimeInterval.milliseconds(1500)

  /// The guest reported a crash. On the life queue.
  func crashed(_ report: PartitionCrash) {
    guard !life.value.isOver else { return }
    var details: [String: String] = [:]
    for (index, parameter) in report.parameters.enumerated() {
      details["p\(index)"] = "0x" + String(parameter, radix: 16)
    }
    if let text = report.text { details["text"] = text }
    events.record(.panic, "the guest's kernel panicked\(report.text.map(Self.panicLine) ?? "")", details: details)
    life.update { life in
      // The registers alone do not replace a text.
      if report.text == nil, life.crash?.message != nil, life.crashHandled { return }
      life.crash = ControlAPI.CrashReport(at: .now, parameters: report.parameters, message: report.text)
    }
    guard configuration.onCrash != .keep else { return }
    let first = life.update { life in
      defer { life.crashHandled = true }
      return !life.crashHandled
    }
    let resets = life.value.resets
    if report.text != nil {
      actOnCrash(resets: resets)
    } else if first {
      lifeQueue.asyncAfter(deadline: .now() + Self.crashTextDelay) { [weak self] in self?.actOnCrash(resets: resets) }
    }
  }

  private func actOnCrash(resets: Int) {
    // The guest may have gone on meanwhile: into a reset, a crash kernel, its end.
    guard !life.value.isOver, life.value.resets == resets else { return }
    switch configuration.onCrash {
    case .keep: break
    case .stop: finish(.crashed, "the guest's kernel panicked")
    case .restart: restart("the guest's kernel panicked")
    }
  }

  /// The line of a kernel log that says why it panicked.
  private static func panicLine(_ text: String) -> String {
    for line in text.split(whereSeparator: \.isNewline) {
      if let found = line.firstRange(of: "Kernel panic") { return ": " + line[found.lowerBound...] }
    }
    return ""
  }
}
