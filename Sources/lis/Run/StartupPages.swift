// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc

/// Gives back the pages of program text that only starting up needed.
///
/// Parsing the command line and looking up conformances touch code and read-only tables all over the program, and the
/// kernel maps sixteen pages around each that is touched: 13 MiB of text stay resident of which a running machine uses
/// little. Dropping the mapping of clean text costs a minor fault for each neighbourhood that is needed again; the pages
/// themselves stay in the page cache.
enum StartupPages {
  /// After the start, in seconds: the program has settled by then, and the guest's own start has, too.
  private static let moments: [Double] = [2, 5, 10, 30]

  /// Returns at once. By Dispatch: a task's sleep has first to look up executors among all conformances, and this is
  /// called where a guest is about to start.
  static func releaseLater() {
    for moment in moments {
      DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + moment) { release() }
    }
  }

  static func release() {
    guard let maps = unsafe fopen("/proc/self/maps", "re") else { return }
    defer { unsafe fclose(maps) }
    var buffer = [CChar](repeating: 0, count: 4096)
    while unsafe fgets(&buffer, Int32(buffer.count), maps) != nil {
      let line = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      guard let range = textRange(String(decoding: line, as: UTF8.self)) else { continue }
      guard let start = unsafe UnsafeMutableRawPointer(bitPattern: range.lowerBound) else { continue }
      _ = unsafe madvise(start, Int(range.upperBound - range.lowerBound), MADV_DONTNEED)
    }
  }

  /// The addresses of a mapping of program text from a file; `nil` for all other lines. Only text qualifies: what the
  /// dynamic linker has written to (relocated read-only data) would come back unrelocated.
  static func textRange(_ line: String) -> Range<UInt>? {
    let fields = line.split(maxSplits: 5, whereSeparator: { $0 == " " || $0 == "\n" })
    guard fields.count == 6, fields[1] == "r-xp", fields[5].drop(while: { $0 == " " }).hasPrefix("/") else {
      return nil
    }
    let ends = fields[0].split(separator: "-")
    guard ends.count == 2, let lower = UInt(ends[0], radix: 16), let upper = UInt(ends[1], radix: 16), lower < upper
    else { return nil }
    return lower..<upper
  }
}
