// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

extension DiskImage {
  func bytes(at offset: UInt64, count: Int) throws(ImageError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: count)
    var failure: ImageError?
    unsafe bytes.withUnsafeMutableBytes { buffer in
      do throws(ImageError) { try unsafe read(at: offset, into: buffer) } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws(ImageError) {
    var failure: ImageError?
    unsafe bytes.withUnsafeBytes { buffer in
      do throws(ImageError) { try unsafe write(at: offset, from: buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
