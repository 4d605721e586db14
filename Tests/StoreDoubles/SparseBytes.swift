// SPDX-License-Identifier: Apache-2.0

/// The contents of a sparse file as a value: copies share pages until one of them is written.
public struct SparseBytes: Sendable, Equatable {
  public static let pageByteCount = 4096
  /// Pages that are not all hole, by number. Bytes at and past `byteCount` are zero in them.
  private var pages: [UInt64: [UInt8]] = [:]
  public private(set) var byteCount: UInt64 = 0

  public init() {}

  public init(_ bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { unsafe write(at: 0, from: $0) }
  }

  /// Space held, as `du` would say.
  public var allocatedByteCount: UInt64 { UInt64(pages.count * Self.pageByteCount) }

  /// False when the range passes the end; nothing is read then.
  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
    guard offset <= byteCount, byteCount - offset >= UInt64(buffer.count) else { return false }
    var done = 0
    while done < buffer.count {
      let (page, start, count) = Self.piece(offset + UInt64(done), buffer.count - done)
      let target = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
      if let bytes = pages[page] {
        unsafe bytes.withUnsafeBytes { unsafe target.copyMemory(from: .init(rebasing: $0[start..<start + count])) }
      } else {
        unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
      }
      done += count
    }
    return true
  }

  public func bytes(at offset: UInt64, count: Int) -> [UInt8]? {
    var result = [UInt8](repeating: 0, count: count)
    let whole = unsafe result.withUnsafeMutableBytes { unsafe read(at: offset, into: $0) }
    return whole ? result : nil
  }

  public mutating func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) {
    var done = 0
    while done < buffer.count {
      let (page, start, count) = Self.piece(offset + UInt64(done), buffer.count - done)
      let source = unsafe UnsafeRawBufferPointer(rebasing: buffer[done..<done + count])
      unsafe pages[page, default: [UInt8](repeating: 0, count: Self.pageByteCount)].withUnsafeMutableBytes {
        unsafe UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + count]).copyMemory(from: source)
      }
      done += count
    }
    byteCount = max(byteCount, offset + UInt64(buffer.count))
  }

  public mutating func write(_ bytes: [UInt8], at offset: UInt64) {
    unsafe bytes.withUnsafeBytes { unsafe write(at: offset, from: $0) }
  }

  public mutating func setByteCount(_ count: UInt64) {
    if count < byteCount { clear(at: count, count: byteCount - count) }
    byteCount = count
  }

  /// Inside the contents; reads as zeroes afterwards, and whole pages are given back.
  public mutating func clear(at offset: UInt64, count: UInt64) {
    let end = min(byteCount, offset + count)
    guard offset < end else { return }
    let pageSize = UInt64(Self.pageByteCount)
    let first = offset / pageSize
    let last = (end - 1) / pageSize
    let touched =
      last - first < UInt64(pages.count) ? Array(first...last) : pages.keys.filter { (first...last).contains($0) }
    for page in touched where pages[page] != nil {
      let start = page * pageSize
      let low = offset > start ? Int(offset - start) : 0
      let high = Int(min(end - start, pageSize))
      if low == 0, high == Self.pageByteCount || start + UInt64(high) == byteCount {
        pages[page] = nil
      } else {
        for index in low..<high { pages[page]?[index] = 0 }
      }
    }
  }

  private static func piece(_ offset: UInt64, _ left: Int) -> (page: UInt64, start: Int, count: Int) {
    let start = Int(offset % UInt64(pageByteCount))
    return (offset / UInt64(pageByteCount), start, min(left, pageByteCount - start))
  }

  /// Equal when they read the same: a page of zeroes is as good as a hole.
  public static func == (a: SparseBytes, b: SparseBytes) -> Bool {
    guard a.byteCount == b.byteCount else { return false }
    let zero = [UInt8](repeating: 0, count: pageByteCount)
    for page in Set(a.pages.keys).union(b.pages.keys) where a.pages[page] ?? zero != b.pages[page] ?? zero {
      return false
    }
    return true
  }
}
