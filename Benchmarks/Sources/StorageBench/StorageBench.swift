// SPDX-License-Identifier: Apache-2.0

import CAllocationCount
import Foundation

/// `StorageBench [--format table|json] [--slices N]`: processor time and allocations per 4 KiB request, guest half to
/// drive in memory and back, 32 at a time.
@main
enum StorageBench {
  static let target = 3.0
  static let requests = 200_000

  static func main() throws {
    let arguments = Array(CommandLine.arguments.dropFirst())
    func option(_ name: String) -> String? {
      guard let at = arguments.firstIndex(of: name), at + 1 < arguments.count else { return nil }
      return arguments[at + 1]
    }
    let slices = option("--slices").flatMap { Int($0) } ?? 11
    let path = try StoragePath()
    var holds = true
    var lines: [String] = []
    for writes in [false, true] {
      try path.run(requests / 10, writes: writes)
      var times: [Double] = []
      let allocations = allocation_count()
      for _ in 0..<slices {
        let begin = processorTime()
        try path.run(requests, writes: writes)
        times.append((processorTime() - begin) / Double(requests) * 1e6)
      }
      let perRequest = Double(allocation_count() - allocations) / Double(slices * requests)
      times.sort()
      let median = times[times.count / 2]
      holds = holds && median <= target && path.failed == 0 && perRequest < 0.001
      let name = writes ? "write" : "read"
      lines.append(
        option("--format") == "json"
          ? "{\"work\":\"\(name)\",\"microseconds\":\(number(median)),\"allocations\":\(number(perRequest))}"
          : "\(name)  \(number(median)) µs  \(number(perRequest)) allocations")
    }
    print(option("--format") == "json" ? "[\(lines.joined(separator: ","))]" : lines.joined(separator: "\n"))
    exit(holds ? 0 : 1)
  }

  static func number(_ value: Double) -> String { String(format: "%.3f", value) }

  /// Of this thread, in seconds.
  static func processorTime() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
