// SPDX-License-Identifier: Apache-2.0

import Glibc
import VirtualDisks

/// Does to an image what a machine does to it, from a script on standard input: `DiskProbe IMAGE` and lines of
/// `write OFFSET COUNT SEED`, `zero OFFSET COUNT`, `discard OFFSET COUNT`, `flush`, `reopen`. Numbers are bytes.
@main
enum DiskProbe {
  static func main() {
    guard CommandLine.arguments.count == 2 else {
      print("usage: DiskProbe IMAGE <SCRIPT")
      exit(64)
    }
    do throws(ImageError) {
      try run(CommandLine.arguments[1])
    } catch {
      print("\(error)")
      exit(1)
    }
  }

  private static func run(_ path: String) throws(ImageError) {
    var options = ImageChain.Options()
    options.isWritable = true
    var chain: ImageChain? = try ImageChain.open(path, options)
    while let line = readLine() {
      let words = line.split(separator: " ").map(String.init)
      let numbers = words.dropFirst().compactMap { UInt64($0) }
      if words.first == "reopen" {
        try chain?.image.close()
        // The lock goes with the last reference.
        chain = nil
        chain = try ImageChain.open(path, options)
        continue
      }
      guard let image = chain?.image else { return }
      switch words.first {
      case "write" where numbers.count == 3:
        let bytes = pattern(numbers[0], Int(numbers[1]), numbers[2])
        var failure: ImageError?
        unsafe bytes.withUnsafeBytes { buffer in
          do throws(ImageError) { try unsafe image.write(at: numbers[0], from: buffer) } catch { failure = error }
        }
        if let failure { throw failure }
      case "zero" where numbers.count == 2: try image.writeZeroes(at: numbers[0], count: numbers[1])
      case "discard" where numbers.count == 2: try image.discard(at: numbers[0], count: numbers[1])
      case "flush": try image.flush()
      default:
        print("not understood: \(line)")
        exit(64)
      }
    }
    try chain?.image.close()
  }

  /// Eight bytes that depend on place and seed, over and over: the same rule as in Tests/Disks.
  private static func pattern(_ offset: UInt64, _ count: Int, _ seed: UInt64) -> [UInt8] {
    let mixed = (offset / 512 &* 0x9e37_79b9_7f4a_7c15) ^ (seed &* 0xbf58_476d_1ce4_e5b9) | 1
    let unit = (0..<8).map { UInt8(truncatingIfNeeded: mixed >> UInt64(8 * $0)) }
    return (0..<count).map { unit[$0 & 7] }
  }
}
