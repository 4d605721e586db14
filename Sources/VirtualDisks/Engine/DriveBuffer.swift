// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A requester's memory: pieces of the guest's RAM, in order. Reused from request to request, so that none allocates.
///
/// The guest may change every byte at every moment; only bulk copies and kernel I/O touch them.
@safe
struct DriveBuffer: ~Copyable {
  private(set) var pieces: UnsafeMutablePointer<iovec>
  private var capacity: Int
  private(set) var count = 0
  private(set) var byteCount: UInt64 = 0
  /// Pieces before this one are not to be made longer.
  private var closed = 0

  init() {
    capacity = 8
    unsafe pieces = .allocate(capacity: capacity)
  }

  deinit { unsafe pieces.deallocate() }

  /// The memory must outlive the request. A piece that continues the one before it is joined with it.
  mutating func append(_ base: UnsafeMutableRawPointer, _ size: Int) {
    byteCount &+= UInt64(size)
    if count > closed, unsafe pieces[count - 1].iov_base + pieces[count - 1].iov_len == base {
      unsafe pieces[count - 1].iov_len += size
      return
    }
    if count == capacity {
      let larger = UnsafeMutablePointer<iovec>.allocate(capacity: capacity * 4)
      unsafe larger.update(from: pieces, count: count)
      unsafe pieces.deallocate()
      unsafe pieces = larger
      capacity *= 4
    }
    unsafe pieces[count] = iovec(iov_base: base, iov_len: size)
    count += 1
  }

  mutating func removeAll() {
    count = 0
    closed = 0
    byteCount = 0
  }

  /// What is appended next begins a piece of its own.
  mutating func closePiece() { closed = count }

  /// Appends the part of `other` that begins `offset` bytes into it. `offset + count` is not beyond its end.
  mutating func append(part other: borrowing DriveBuffer, from offset: UInt64, count: UInt64) {
    var skip = offset
    var left = count
    for index in 0..<other.count where left > 0 {
      let piece = unsafe other.pieces[index]
      let size = UInt64(unsafe piece.iov_len)
      if skip >= size {
        skip -= size
        continue
      }
      let part = min(size - skip, left)
      unsafe append(piece.iov_base + Int(skip), Int(part))
      skip = 0
      left -= part
    }
  }

  /// Runs `body` on each piece of at most `limit` bytes in all, with its offset in the buffer.
  func forEach<E: Error>(limit: UInt64, _ body: (UInt64, UnsafeMutableRawBufferPointer) throws(E) -> Void) throws(E) {
    var offset: UInt64 = 0
    for index in 0..<count where offset < limit {
      let piece = unsafe pieces[index]
      let size = Int(min(UInt64(unsafe piece.iov_len), limit - offset))
      try unsafe body(offset, UnsafeMutableRawBufferPointer(start: piece.iov_base, count: size))
      offset += UInt64(size)
    }
  }

  /// Whether every piece, within the first `limit` bytes, is a multiple of `unit` bytes long.
  func isMultiple(of unit: UInt64, limit: UInt64) -> Bool {
    var result = true
    unsafe forEach(limit: limit) { _, piece in if UInt64(piece.count) % unit != 0 { result = false } }
    return result
  }

  func zero(limit: UInt64) {
    unsafe forEach(limit: limit) { _, piece in
      _ = unsafe piece.baseAddress.map { unsafe memset($0, 0, piece.count) }
    }
  }
}
