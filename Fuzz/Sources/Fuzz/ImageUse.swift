// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

/// What the fuzzers of image formats do with an image that has opened.
enum ImageUse {
  /// Steps that the script chooses. What was written must be there; everything else may fail. `discardUnit`: a discard is
  /// a multiple of these bytes.
  static func use(_ image: any DiskImage, _ script: inout Script, steps: Int, discardUnit: UInt64) {
    for _ in 0..<steps where !script.isEmpty {
      let sectors = max(1, image.information.virtualByteCount / 512)
      let offset = script.mostly(UInt64(script.word32()) % sectors &* 512)
      let count = 1 + script.choice(16)
      switch script.choice(8) {
      case 0...2:
        let byte = script.byte() | 1
        guard write([UInt8](repeating: byte, count: count * 512), at: offset, to: image) else { continue }
        precondition(read(image, offset, 512) == [UInt8](repeating: byte, count: 512), "a write is lost")
      case 3: _ = read(image, offset, count * 512)
      case 4: try? image.writeZeroes(at: offset, count: UInt64(count) * 512)
      case 5: try? image.discard(at: offset, count: UInt64(count) * discardUnit)
      case 6: try? image.flush()
      default: try? image.resize(to: UInt64(script.word16()) * 512)
      }
      _ = try? image.extent(at: offset, count: script.mostly(4096), for: script.oneIn(2) ? .read : .write)
    }
  }

  @discardableResult
  static func write(_ bytes: [UInt8], at offset: UInt64, to image: any DiskImage) -> Bool {
    let sector = bytes.count % 512 == 0 ? bytes : [UInt8](repeating: bytes[0], count: 512)
    return unsafe sector.withUnsafeBytes { buffer in
      do throws(ImageError) {
        try unsafe image.write(at: offset, from: buffer)
        return true
      } catch {
        return false
      }
    }
  }

  private static func read(_ image: any DiskImage, _ offset: UInt64, _ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    let isRead = unsafe bytes.withUnsafeMutableBytes { buffer in
      do throws(ImageError) {
        try unsafe image.read(at: offset, into: buffer)
        return true
      } catch {
        return false
      }
    }
    return isRead ? bytes : nil
  }
}
