// SPDX-License-Identifier: Apache-2.0

import Foundation
import VMBus

/// `RingBench report [--instructions FILE] [--format table|json] [--pairs N]` measures, compares and judges;
/// `RingBench count SIDE SIZE BURSTS` only moves packets, for callgrind.
@main
enum RingBench {
  static let sizes = [16, 48, 256, 1500, 4096]
  static let rateTarget = 0.95
  static let instructionTarget = 1.1

  static func main() throws {
    let arguments = Array(CommandLine.arguments.dropFirst())
    if arguments.first == "count", arguments.count == 4, let side = Side(rawValue: arguments[1]),
      let size = Int(arguments[2]), let bursts = Int(arguments[3])
    {
      _ = try run(side, size: size, bursts: bursts)
      return
    }
    func option(_ name: String) -> String? {
      guard let at = arguments.firstIndex(of: name), at + 1 < arguments.count else { return nil }
      return arguments[at + 1]
    }
    guard arguments.first == "report" else {
      FileHandle.standardError.write(Data("usage: RingBench report|count ...\n".utf8))
      exit(64)
    }
    let counts = try option("--instructions").map { try String(contentsOfFile: $0, encoding: .utf8) } ?? ""
    let pairs = option("--pairs").flatMap { Int($0) } ?? 101
    var results: [Measurement] = []
    for size in sizes {
      var result = try Measurement.take(size: size, pairs: pairs)
      result.instructions = instructions(counts, size: size)
      results.append(result)
    }
    let interoperability = try Interoperability.all(packets: 20_000)
    let report = Report(measurements: results, interoperability: interoperability)
    print(option("--format") == "json" ? report.json : report.table)
    exit(report.holds ? 0 : 1)
  }

  /// Lines of `side size bursts instructions`, two per side and size: the difference of the two runs is free of start-up.
  static func instructions(_ lines: String, size: Int) -> [Side: Double] {
    var runs: [Side: [(bursts: Double, count: Double)]] = [:]
    for line in lines.split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.count == 4, let side = Side(rawValue: String(fields[0])), Int(fields[1]) == size,
        let bursts = Double(fields[2]), let count = Double(fields[3])
      else { continue }
      runs[side, default: []].append((bursts, count))
    }
    return runs.compactMapValues { pair in
      guard pair.count == 2, pair[0].bursts != pair[1].bursts else { return nil }
      return (pair[1].count - pair[0].count) / (pair[1].bursts - pair[0].bursts) / Double(burst)
    }
  }
}
