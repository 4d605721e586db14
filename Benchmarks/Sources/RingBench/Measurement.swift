// SPDX-License-Identifier: Apache-2.0

/// One payload size: our ring and the C ring in alternating slices of the same run.
struct Measurement {
  let size: Int
  /// Packets per second, median over the slices.
  var rates: [Side: Double] = [:]
  /// Rate of a side over the C ring's, median over the slice pairs.
  var ratios: [Side: Double] = [:]
  var allocations: UInt64 = 0
  /// Instructions per packet, when callgrind's counts were given.
  var instructions: [Side: Double] = [:]

  var instructionRatio: Double? {
    guard let ours = instructions[.swift], let theirs = instructions[.c] else { return nil }
    return ours / theirs
  }

  /// `pairs` slices of each side, taking turns, so that what else the machine does hits both alike.
  static func take(size: Int, pairs: Int) throws -> Measurement {
    var result = Measurement(size: size)
    let bursts = max(200, 400_000 / (size + 100))
    var times: [Side: [Double]] = [:]
    let clock = ContinuousClock()
    for side in Side.allCases { _ = try run(side, size: size, bursts: bursts) }
    for pair in 0..<pairs {
      // The order turns round each time.
      for side in pair % 2 == 0 ? Side.allCases : Side.allCases.reversed() {
        let begin = clock.now
        let (packets, allocations) = try run(side, size: size, bursts: bursts)
        let elapsed = begin.duration(to: clock.now)
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
        times[side, default: []].append(Double(packets) / seconds)
        if side != .c { result.allocations += allocations }
      }
    }
    let reference = times[.c] ?? []
    for (side, rates) in times {
      result.rates[side] = median(rates)
      result.ratios[side] = median(zip(rates, reference).map { $0 / $1 })
    }
    return result
  }

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}
