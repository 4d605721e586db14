// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import VirtualDisks

@Suite struct CopyWriterTests {
  private final class Written: Sendable {
    let pieces = Mutex<[(UInt64, [UInt8])]>([])
  }

  @Test func `pieces are written whole and in order`() throws {
    let written = Written()
    let writer = unsafe CopyWriter(chunk: 64) { bytes, offset throws(ImageError) in
      let piece = unsafe Array(bytes)
      written.pieces.withLock { $0.append((offset, piece)) }
    }
    for number in 0..<1000 {
      let count = 1 + number % 64
      let room = unsafe try writer.room(count)
      unsafe room.initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: number))
      writer.put(count, at: UInt64(number) * 64)
    }
    try writer.finish()
    let pieces = written.pieces.withLock { $0 }
    #expect(pieces.map(\.0) == (0..<1000).map { UInt64($0) * 64 })
    let isRight = pieces.enumerated().allSatisfy { number, piece in
      piece.1 == [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 1 + number % 64)
    }
    #expect(isRight)
  }

  @Test func `after a write that failed nothing is written, and the reader learns of it`() throws {
    let written = Written()
    let failure = ImageError(file: "target", structure: "disk", .damaged("no more"))
    let writer = unsafe CopyWriter(chunk: 64) { _, offset throws(ImageError) in
      if offset == 3 { throw failure }
      written.pieces.withLock { $0.append((offset, [])) }
    }
    var put: UInt64 = 0
    #expect(throws: failure) {
      while put < 1000 {
        _ = unsafe try writer.room(1)
        writer.put(1, at: put)
        put += 1
      }
    }
    #expect(put >= 4 && put <= 6, "\(put) pieces were taken")
    #expect(throws: failure) { try writer.finish() }
    #expect(written.pieces.withLock { $0.map(\.0) } == [0, 1, 2])
  }
}
