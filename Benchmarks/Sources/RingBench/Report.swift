// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What is printed, and whether the targets hold.
struct Report {
  var measurements: [Measurement]
  var interoperability: [(name: String, result: Interoperability)]

  /// Targets: rate at least 0.95 of the C ring's, at most 1.1 times its instructions, no allocation, contents equal.
  var holds: Bool {
    measurements.allSatisfy {
      ($0.ratios[.swift] ?? 0) >= RingBench.rateTarget && $0.allocations == 0
        && ($0.instructionRatio ?? .infinity) <= RingBench.instructionTarget
    } && interoperability.allSatisfy { $0.result.failure == nil }
  }

  var table: String {
    var lines = [
      "Ring, one thread, \(burst) packets in flight; rates in million packets per second, ratios to the C ring"
    ]
    lines.append(
      row(["bytes", "C", "Swift", "ratio", "batched", "ratio", "pages", "ratio", "instr C", "Swift", "ratio", "alloc"]))
    for m in measurements {
      func rate(_ side: Side) -> String { String(format: "%.2f", (m.rates[side] ?? .nan) / 1e6) }
      func ratio(_ side: Side) -> String { String(format: "%.3f", m.ratios[side] ?? .nan) }
      func count(_ side: Side) -> String { m.instructions[side].map { String(format: "%.1f", $0) } ?? "-" }
      lines.append(
        row([
          "\(m.size)", rate(.c), rate(.swift), ratio(.swift), rate(.batch), ratio(.batch), rate(.paged), ratio(.paged),
          count(.c), count(.swift), m.instructionRatio.map { String(format: "%.3f", $0) } ?? "-", "\(m.allocations)",
        ]))
    }
    for (name, result) in interoperability {
      lines.append("\(name): \(result.packets) packets " + (result.failure.map { "then WRONG: \($0)" } ?? "equal"))
    }
    lines.append(
      "targets (Swift ratio >= \(RingBench.rateTarget), instructions <= \(RingBench.instructionTarget), allocations 0): "
        + (holds ? "hold" : "MISSED"))
    return lines.joined(separator: "\n")
  }

  private func row(_ cells: [String]) -> String {
    cells.map { String(repeating: " ", count: max(0, 8 - $0.count)) + $0 }.joined()
  }

  var json: String {
    let ring: [[String: Any]] = measurements.map { m in
      var entry: [String: Any] = ["payloadBytes": m.size, "allocations": m.allocations]
      entry["packetsPerSecond"] = Dictionary(uniqueKeysWithValues: m.rates.map { ($0.rawValue, $1.rounded()) })
      entry["rateRatioToC"] = Dictionary(
        uniqueKeysWithValues: m.ratios.filter { $0.key != .c }.map { ($0.rawValue, rounded($1)) })
      entry["instructionsPerPacket"] = Dictionary(
        uniqueKeysWithValues: m.instructions.map { ($0.rawValue, rounded($1)) })
      if let ratio = m.instructionRatio { entry["instructionRatioToC"] = rounded(ratio) }
      return entry
    }
    let partners: [[String: Any]] = interoperability.map {
      ["pair": $0.name, "packets": $0.result.packets, "failure": $0.result.failure ?? NSNull()]
    }
    let all: [String: Any] = ["ring": ring, "interoperability": partners, "targetsHold": holds]
    let data = (try? JSONSerialization.data(withJSONObject: all, options: [.prettyPrinted, .sortedKeys])) ?? Data()
    return String(decoding: data, as: UTF8.self)
  }

  private func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
}
