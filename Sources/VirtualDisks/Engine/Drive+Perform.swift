// SPDX-License-Identifier: Apache-2.0

import Glibc

extension Drive {
  /// Bytes that one step of a long operation handles.
  private static let stepBytes = 1 << 20

  /// Does all of a request, and blocks until it is done. `buffer` has at least `request.bufferByteCount` bytes.
  func perform(_ request: DriveRequest, _ buffer: borrowing DriveBuffer) -> DriveResult {
    switch access(request) {
    case .failure(let failure): return .failure(failure)
    case .success(let (image, sector, isDurable)):
      guard buffer.byteCount >= request.bufferByteCount(sectorSize: UInt32(sector)) else { return .failure(.badBuffer) }
      do throws(ImageError) {
        return try perform(request, buffer, image, sector, isDurable)
      } catch {
        notePoison(of: image)
        return .failure(Self.failure(of: error, request.operation))
      }
    }
  }

  private func perform(
    _ request: DriveRequest, _ buffer: borrowing DriveBuffer, _ image: any DiskImage, _ sector: UInt64,
    _ isDurable: Bool
  ) throws(ImageError) -> DriveResult {
    switch request.operation {
    case .read: try read(request, buffer, image, sector)
    case .write(let force):
      try write(request, buffer, image, sector)
      if force || isDurable { try flush(image) }
    case .flush: try flush(image)
    case .discard:
      try waitingForSpace { () throws(ImageError) in
        try image.discard(at: request.byteOffset, count: request.byteCount)
      }
      if isDurable { try flush(image) }
    case .writeZeroes(let mayUnmap):
      try writeZeroes(request, image, mayUnmap)
      if isDurable { try flush(image) }
    case .writeSame(let mayUnmap):
      try writeSame(request, buffer, image, sector, mayUnmap)
      if isDurable { try flush(image) }
    case .verify: try verify(request, image)
    case .compare: return try compare(request, buffer, image)
    }
    return .success
  }

  private func flush(_ image: any DiskImage) throws(ImageError) {
    try waitingForSpace { () throws(ImageError) in try image.flush() }
  }

  private func read(
    _ request: DriveRequest, _ buffer: borrowing DriveBuffer, _ image: any DiskImage, _ sector: UInt64
  ) throws(ImageError) {
    if buffer.isMultiple(of: sector, limit: request.byteCount) {
      try unsafe buffer.forEach(limit: request.byteCount) { (offset, piece) throws(ImageError) in
        try unsafe image.read(at: request.byteOffset + offset, into: piece)
      }
      return
    }
    // Fragments that are no whole sectors: through memory of our own.
    let bounce = Bounce(byteCount: Int(request.byteCount))
    try unsafe image.read(at: request.byteOffset, into: bounce.bytes)
    unsafe buffer.forEach(limit: request.byteCount) { offset, piece in
      unsafe piece.copyMemory(from: UnsafeRawBufferPointer(rebasing: bounce.bytes[Int(offset)...].prefix(piece.count)))
    }
  }

  private func write(
    _ request: DriveRequest, _ buffer: borrowing DriveBuffer, _ image: any DiskImage, _ sector: UInt64
  ) throws(ImageError) {
    if buffer.count == 1 || buffer.isMultiple(of: sector, limit: request.byteCount) {
      try unsafe buffer.forEach(limit: request.byteCount) { (offset, piece) throws(ImageError) in
        try waitingForSpace { () throws(ImageError) in
          try unsafe image.write(at: request.byteOffset + offset, from: UnsafeRawBufferPointer(piece))
        }
      }
      return
    }
    let bounce = Bounce(byteCount: Int(request.byteCount))
    unsafe buffer.forEach(limit: request.byteCount) { offset, piece in
      unsafe UnsafeMutableRawBufferPointer(rebasing: bounce.bytes[Int(offset)...])
        .copyMemory(from: UnsafeRawBufferPointer(piece))
    }
    try waitingForSpace { () throws(ImageError) in
      try unsafe image.write(at: request.byteOffset, from: UnsafeRawBufferPointer(bounce.bytes))
    }
  }

  private func writeZeroes(_ request: DriveRequest, _ image: any DiskImage, _ mayUnmap: Bool) throws(ImageError) {
    try waitingForSpace { () throws(ImageError) in
      if mayUnmap, image.information.canDiscard {
        try image.discard(at: request.byteOffset, count: request.byteCount)
      } else {
        try image.writeZeroes(at: request.byteOffset, count: request.byteCount)
      }
    }
  }

  private func writeSame(
    _ request: DriveRequest, _ buffer: borrowing DriveBuffer, _ image: any DiskImage, _ sector: UInt64,
    _ mayUnmap: Bool
  ) throws(ImageError) {
    // The sector is copied once: the guest may change it while it is written many times.
    let step = min(Int(clamping: request.byteCount), Self.stepBytes)
    let bounce = Bounce(byteCount: max(step, Int(sector)))
    unsafe buffer.forEach(limit: sector) { offset, piece in
      unsafe UnsafeMutableRawBufferPointer(rebasing: bounce.bytes[Int(offset)...])
        .copyMemory(from: UnsafeRawBufferPointer(piece))
    }
    if unsafe bounce.bytes.prefix(Int(sector)).allSatisfy({ $0 == 0 }) {
      return try writeZeroes(request, image, mayUnmap)
    }
    var filled = Int(sector)
    while filled < step {
      let count = min(filled, step - filled)
      unsafe UnsafeMutableRawBufferPointer(rebasing: bounce.bytes[filled...])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: bounce.bytes[..<count]))
      filled += count
    }
    var offset = request.byteOffset
    var left = request.byteCount
    while left > 0 {
      let count = min(left, UInt64(step))
      try waitingForSpace { () throws(ImageError) in
        try unsafe image.write(at: offset, from: UnsafeRawBufferPointer(rebasing: bounce.bytes[..<Int(count)]))
      }
      offset += count
      left -= count
    }
  }

  private func verify(_ request: DriveRequest, _ image: any DiskImage) throws(ImageError) {
    let bounce = Bounce(byteCount: min(Int(clamping: request.byteCount), Self.stepBytes))
    var offset = request.byteOffset
    var left = request.byteCount
    while left > 0 {
      let count = min(left, UInt64(Self.stepBytes))
      try unsafe image.read(
        at: offset, into: UnsafeMutableRawBufferPointer(rebasing: bounce.bytes[..<Int(count)]))
      offset += count
      left -= count
    }
  }

  private func compare(
    _ request: DriveRequest, _ buffer: borrowing DriveBuffer, _ image: any DiskImage
  ) throws(ImageError) -> DriveResult {
    let bounce = Bounce(byteCount: Int(request.byteCount))
    try unsafe image.read(at: request.byteOffset, into: bounce.bytes)
    var differs: UInt64?
    unsafe buffer.forEach(limit: request.byteCount) { offset, piece in
      guard differs == nil else { return }
      let stored = unsafe bounce.bytes[Int(offset)...].prefix(piece.count)
      differs = unsafe zip(stored, piece).enumerated().first { $0.element.0 != $0.element.1 }.map {
        offset + UInt64($0.offset)
      }
    }
    return differs.map { .failure(.miscompare, at: request.byteOffset + $0) } ?? .success
  }

  static func failure(of error: ImageError, _ operation: DriveOperation) -> DriveFailure {
    if error.isNoSpace { return .noSpace }
    switch error.reason {
    case .readOnly: return .readOnly
    case .closed: return .mediumAbsent
    case .invalid: return .outOfRange
    case .store, .damaged, .unsupported, .parent, .poisoned:
      switch operation {
      case .read, .verify, .compare: return .readFailed
      case .write, .flush, .discard, .writeZeroes, .writeSame: return .writeFailed
      }
    }
  }
}

/// Memory of our own between the guest's and an image. Aligned for direct I/O.
@safe
private final class Bounce {
  let bytes: UnsafeMutableRawBufferPointer
  init(byteCount: Int) { unsafe bytes = .allocate(byteCount: byteCount, alignment: 4096) }
  deinit { unsafe bytes.deallocate() }
}
