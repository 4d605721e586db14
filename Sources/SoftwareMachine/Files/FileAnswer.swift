// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

/// The outer end's answer to one `FileRequest`:
///
///      0  UInt16  slot
///      2  UInt8   status
///      3  UInt8   reason of a store error
///      4  Int32   its errno
///      8  UInt64  the value: a size, the count of bytes in the slot, or the error's offset
///     16  UInt8   1: the error has an offset
///     17  UInt8   the operation that failed
///     18  6       zero
struct FileAnswer: Equatable, Sendable {
  static let wireSize = 24

  enum Content: Equatable, Sendable {
    case value(UInt64)
    /// Without the name, which the asker knows.
    case storeError(StoreError.Operation, StoreError.Reason, offset: UInt64?)
    /// The slot holds an encoded `ImageError` of so many bytes.
    case imageError(count: UInt64)
  }

  var slot: UInt16
  var content: Content

  private static let operations: [StoreError.Operation] = [
    .open, .lock, .size, .read, .write, .flush, .resize, .deallocate,
  ]

  func encode(into bytes: inout [UInt8]) {
    var (status, reason, code, value, hasOffset, operation): (UInt8, UInt8, Int32, UInt64, UInt8, UInt8) =
      (0, 0, 0, 0, 0, 0)
    switch content {
    case .value(let number): value = number
    case .storeError(let failed, let why, let offset):
      status = 1
      (reason, code) = Self.code(why)
      value = offset ?? 0
      hasOffset = offset == nil ? 0 : 1
      operation = Self.code(failed)
    case .imageError(let count):
      status = 2
      value = count
    }
    bytes.append(little: slot)
    bytes.append(contentsOf: [status, reason])
    bytes.append(little: code)
    bytes.append(little: value)
    bytes.append(contentsOf: [hasOffset, operation, 0, 0, 0, 0, 0, 0])
  }

  init(slot: UInt16, _ content: Content) {
    self.slot = slot
    self.content = content
  }

  /// Takes the next answer off the front; nil: more bytes are needed.
  init?(takingFrom bytes: inout ArraySlice<UInt8>) throws(FileLinkError) {
    guard bytes.count >= Self.wireSize, let slot = bytes.takeLittle(UInt16.self),
      let status = bytes.takeLittle(UInt8.self), let reason = bytes.takeLittle(UInt8.self),
      let code = bytes.takeLittle(Int32.self), let value = bytes.takeLittle(UInt64.self),
      let hasOffset = bytes.takeLittle(UInt8.self), let operation = bytes.takeLittle(UInt8.self)
    else { return nil }
    bytes = bytes.dropFirst(6)
    guard slot < DataWindow.slotCount else { throw .malformed }
    switch status {
    case 0: self.init(slot: slot, .value(value))
    case 1:
      guard let why = Self.reason(reason, code), let failed = Self.operation(operation) else { throw .malformed }
      self.init(slot: slot, .storeError(failed, why, offset: hasOffset == 0 ? nil : value))
    case 2:
      guard value <= DataWindow.slotSize else { throw .malformed }
      self.init(slot: slot, .imageError(count: value))
    default: throw .malformed
    }
  }

  static func code(_ operation: StoreError.Operation) -> UInt8 {
    UInt8(operations.firstIndex(of: operation) ?? 0)
  }

  static func operation(_ code: UInt8) -> StoreError.Operation? {
    code < operations.count ? operations[Int(code)] : nil
  }

  static func code(_ reason: StoreError.Reason) -> (UInt8, Int32) {
    switch reason {
    case .noSpace: (1, 0)
    case .endOfFile: (2, 0)
    case .unsupported: (3, 0)
    case .readOnly: (4, 0)
    case .inUse: (5, 0)
    case .system(let code): (6, code)
    }
  }

  static func reason(_ reason: UInt8, _ code: Int32) -> StoreError.Reason? {
    switch reason {
    case 1: .noSpace
    case 2: .endOfFile
    case 3: .unsupported
    case 4: .readOnly
    case 5: .inUse
    case 6: .system(errno: code)
    default: nil
    }
  }
}
