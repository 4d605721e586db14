// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Stands for a file that must not be touched now: whatever is asked of it fails.
final class AbsentStore: ByteStore {
  static let only = AbsentStore()

  var name: String { "" }
  var isReadOnly: Bool { true }
  var directDescriptor: Int32? { nil }

  func byteCount() throws(StoreError) -> UInt64 { throw refusal(.size) }
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) { throw refusal(.read) }
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(StoreError) { throw refusal(.write) }
  func flush() throws(StoreError) { throw refusal(.flush) }
  func setByteCount(_ count: UInt64) throws(StoreError) { throw refusal(.resize) }
  func deallocate(at offset: UInt64, count: UInt64) throws(StoreError) { throw refusal(.deallocate) }

  private func refusal(_ operation: StoreError.Operation) -> StoreError {
    StoreError(name: name, operation: operation, reason: .system(errno: EAGAIN))
  }
}
