// SPDX-License-Identifier: Apache-2.0

/// What lies beneath an image format: a host file, or a double of one in tests.
///
/// Every call blocks until it is done and may come from any thread; calls on ranges that do not overlap do not disturb
/// one another. What a write stored is seen by every read that begins after it, and is durable once a `flush` that
/// began after it has returned.
public protocol ByteStore: AnyObject, Sendable {
  /// For people, in errors: the path of a file.
  var name: String { get }
  var isReadOnly: Bool { get }
  func byteCount() throws(StoreError) -> UInt64
  /// Fills the whole buffer or throws, `.endOfFile` with the offset of the first missing byte when the store is shorter.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError)
  /// Stores the whole buffer or throws; the store grows when the range reaches past its end.
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(StoreError)
  func flush() throws(StoreError)
  /// New bytes read as zeroes.
  func setByteCount(_ count: UInt64) throws(StoreError)
  /// The range (inside the store) reads as zeroes afterwards and its space goes back to the host. `.unsupported` where
  /// that cannot be done; nothing has changed then.
  func deallocate(at offset: UInt64, count: UInt64) throws(StoreError)
  /// The range is there and has its space on the host, or `.noSpace`. Contents stay; new bytes read as zeroes. Where the
  /// host cannot promise space, only the size is made sure of.
  func reserve(at offset: UInt64, count: UInt64) throws(StoreError)
  /// The descriptor to do I/O on without this object, by io_uring; nil where there is none. Valid while the store lives.
  var directDescriptor: Int32? { get }
  /// The bytes are in the host's memory and nowhere else, so that a write is a copy and waits for no device.
  var isInMemory: Bool { get }
}

extension ByteStore {
  public var isInMemory: Bool { false }

  public func reserve(at offset: UInt64, count: UInt64) throws(StoreError) {
    if try byteCount() < offset + count { try setByteCount(offset + count) }
  }

  /// `count` bytes from `offset` on, as an array: for metadata, whose size the caller has bounded.
  func bytes(at offset: UInt64, count: Int) throws(StoreError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var failure: StoreError?
    unsafe bytes.withUnsafeMutableBytes { buffer in
      do throws(StoreError) { try unsafe read(at: offset, into: buffer) } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws(StoreError) {
    var failure: StoreError?
    unsafe bytes.withUnsafeBytes { buffer in
      do throws(StoreError) { try unsafe write(at: offset, from: buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  func error(_ operation: StoreError.Operation, _ reason: StoreError.Reason, at offset: UInt64? = nil) -> StoreError {
    StoreError(name: name, operation: operation, reason: reason, offset: offset)
  }
}
