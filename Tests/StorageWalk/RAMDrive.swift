// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

/// A drive in memory that checks what it is asked, as a real one must.
public final class RAMDrive {
  public var bytes: [UInt8]
  public let sectorSize: Int
  /// Bytes written since the last flush are in `bytes` all the same.
  public private(set) var flushes = 0

  public init(byteCount: Int, sectorSize: Int = 512) {
    bytes = Array(repeating: 0, count: byteCount)
    self.sectorSize = sectorSize
  }

  public func execute(_ request: DriveRequest, _ places: [Range<Int>], _ memory: GuestPages) -> DriveResult {
    guard request.fits(in: UInt64(bytes.count)) else { return .failure(.outOfRange, at: request.byteOffset) }
    let range = Int(request.byteOffset)..<Int(request.byteOffset + request.byteCount)
    let needed = Int(request.bufferByteCount(sectorSize: UInt32(sectorSize)))
    guard places.reduce(0, { $0 + $1.count }) >= needed else { return .failure(.badBuffer) }
    switch request.operation {
    case .read: memory.scatter(bytes[range], into: places)
    case .write: bytes.replaceSubrange(range, with: memory.gather(places, range.count))
    case .flush: flushes += 1
    case .discard, .writeZeroes: bytes.replaceSubrange(range, with: repeatElement(0, count: range.count))
    case .writeSame:
      let sector = memory.gather(places, sectorSize)
      for at in stride(from: range.lowerBound, to: range.upperBound, by: sectorSize) {
        bytes.replaceSubrange(at..<at + sectorSize, with: sector)
      }
    case .verify: break
    case .compare:
      let wanted = memory.gather(places, range.count)
      if let index = wanted.indices.first(where: { wanted[$0] != bytes[range.lowerBound + $0] }) {
        return .failure(.miscompare, at: request.byteOffset + UInt64(index))
      }
    }
    return .success
  }
}
