// SPDX-License-Identifier: Apache-2.0

import Glibc
import SoftwareMachine
import VirtualDisks

/// What the probe does inside with an image file that lies outside.
struct ImageProbe {
  let path: String

  private var options: ImageChain.Options {
    var options = ImageChain.Options()
    options.format = ImageFormat(fileName: path) ?? .raw
    options.isWritable = true
    return options
  }

  /// Reads, writes, flushes, discards and grows; says what it saw.
  func use() {
    do throws(any Error) {
      let chain = try ImageChain.open(path, options, opener: InnerMachine.images)
      let image = chain.image
      let size = image.information.virtualByteCount
      print("image \(size) of \(chain.layers.count)")
      let count = 1 << 20
      var bytes = [UInt8](repeating: 0, count: count)
      try unsafe bytes.withUnsafeMutableBytes { try unsafe image.read(at: 0, into: $0) }
      var hash: UInt64 = 0xCBF2_9CE4_8422_2325
      for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
      print("read \(String(hash, radix: 16))")
      for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &* 13) }
      try unsafe bytes.withUnsafeBytes { try unsafe image.write(at: UInt64(count), from: $0) }
      try image.flush()
      try image.discard(at: 0, count: UInt64(count))
      try image.resize(to: size + (4 << 20))
      print("grown \(image.information.virtualByteCount)")
      try image.close()
    } catch {
      print("error \(error)")
    }
  }

  /// How fast: sequential writes and reads in large pieces, then single small ones.
  func measure() {
    do throws(any Error) {
      let chain = try ImageChain.open(path, options, opener: InnerMachine.images)
      let total = Int(chain.image.information.virtualByteCount)
      for size in [1 << 20, 128 << 10, 64 << 10, 4096] {
        let limit = min(total, size * 2000)
        var bytes = [UInt8](repeating: 7, count: size)
        try time("write \(size)", limit) {
          for offset in stride(from: 0, to: limit, by: size) {
            try unsafe bytes.withUnsafeBytes { try unsafe chain.image.write(at: UInt64(offset), from: $0) }
          }
        }
        try time("read \(size)", limit) {
          for offset in stride(from: 0, to: limit, by: size) {
            try unsafe bytes.withUnsafeMutableBytes { try unsafe chain.image.read(at: UInt64(offset), into: $0) }
          }
        }
      }
      try time("flush", 100) { for _ in 0..<100 { try chain.image.flush() } }
    } catch {
      print("error \(error)")
    }
  }

  private func time(_ what: String, _ count: Int, _ body: () throws -> Void) throws {
    let start = ContinuousClock.now
    try body()
    let duration = start.duration(to: .now) / .milliseconds(1)
    print("\(what): \(count) in \(duration) ms, \(Double(count) / duration / 1000) MB/s")
    fflush(nil)
  }
}
