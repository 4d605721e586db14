// SPDX-License-Identifier: Apache-2.0

/// The inner kernel's serial output: its last lines, and what they say about its health. Bounded, whatever it prints.
struct InnerLog {
  /// The init's words on the serial line.
  static let ready = "LIS-READY"
  static let failed = "LIS-FAILED "

  enum Finding: Equatable {
    case ready
    case failed(String)
    case panic(String)
  }

  private(set) var lines: [String] = []
  private var partial: [UInt8] = []

  /// Takes bytes as they come and returns what the complete lines among them say.
  mutating func append(_ bytes: ArraySlice<UInt8>) -> [Finding] {
    var findings: [Finding] = []
    for byte in bytes {
      guard byte == UInt8(ascii: "\n") else {
        if partial.count < 512 && byte != UInt8(ascii: "\r") { partial.append(byte) }
        continue
      }
      let line = String(decoding: partial, as: UTF8.self)
      partial.removeAll(keepingCapacity: true)
      if let finding = Self.finding(line) { findings.append(finding) }
      lines.append(line)
      if lines.count > 40 { lines.removeFirst() }
    }
    return findings
  }

  private static func finding(_ line: String) -> Finding? {
    if line.hasSuffix(ready) { return .ready }
    if let mark = line.firstRange(of: failed) { return .failed(String(line[mark.upperBound...])) }
    if let mark = line.firstRange(of: "Kernel panic") { return .panic(String(line[mark.lowerBound...])) }
    return nil
  }

  /// The last lines, for an error message.
  var tail: String {
    let last = lines.filter { !$0.isEmpty }.suffix(8)
    return last.isEmpty ? "its log is empty" : "its log ends:\n  " + last.joined(separator: "\n  ")
  }
}
