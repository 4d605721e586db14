// SPDX-License-Identifier: Apache-2.0

/// What the inner end asks about the outer machine's image files. Fixed size, so that one read brings many; integers are
/// little-endian. Data and texts lie in the slot of the data window, never in the request:
///
///      0  UInt16  slot: names the request, too; free until the answer has come
///      2  UInt8   operation
///      3  UInt8   zero
///      4  UInt32  file number
///      8  UInt64  offset, or the new size
///     16  UInt64  count of bytes
struct FileRequest: Equatable, Sendable {
  static let wireSize = 24

  var slot: UInt16
  var operation: FileOperation
  var file: UInt32 = 0
  var offset: UInt64 = 0
  var count: UInt64 = 0

  init(slot: UInt16, _ operation: FileOperation, file: UInt32 = 0, offset: UInt64 = 0, count: UInt64 = 0) {
    self.slot = slot
    self.operation = operation
    self.file = file
    self.offset = offset
    self.count = count
  }

  func encode(into bytes: inout [UInt8]) {
    bytes.append(little: slot)
    bytes.append(operation.rawValue)
    bytes.append(0)
    bytes.append(little: file)
    bytes.append(little: offset)
    bytes.append(little: count)
  }

  /// Takes the next request off the front; nil: more bytes are needed.
  init?(takingFrom bytes: inout ArraySlice<UInt8>) throws(FileLinkError) {
    guard bytes.count >= Self.wireSize, let slot = bytes.takeLittle(UInt16.self),
      let operation = bytes.takeLittle(UInt8.self), let zero = bytes.takeLittle(UInt8.self),
      let file = bytes.takeLittle(UInt32.self), let offset = bytes.takeLittle(UInt64.self),
      let count = bytes.takeLittle(UInt64.self)
    else { return nil }
    self.init(slot: slot, FileOperation(rawValue: operation), file: file, offset: offset, count: count)
    guard zero == 0, slot < DataWindow.slotCount else { throw .malformed }
    switch self.operation {
    case .read, .write, .chain: guard count <= DataWindow.slotSize else { throw .malformed }
    case .flush, .size, .resize, .deallocate, .close: break
    default: throw .malformed
    }
  }
}

/// Peer-chosen, so an open set of codes.
struct FileOperation: RawRepresentable, Hashable, Sendable {
  let rawValue: UInt8
  init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The slot holds the path of a disk (UTF-8); the answer's slot holds a `ChainGrant`.
  static let chain = FileOperation(rawValue: 1)
  static let read = FileOperation(rawValue: 2)
  static let write = FileOperation(rawValue: 3)
  static let flush = FileOperation(rawValue: 4)
  static let size = FileOperation(rawValue: 5)
  static let resize = FileOperation(rawValue: 6)
  static let deallocate = FileOperation(rawValue: 7)
  static let close = FileOperation(rawValue: 8)
}

/// What one end of the file link did wrong, or that it has gone. It ends the link.
enum FileLinkError: Error, Equatable, CustomStringConvertible {
  /// A request or an answer that nobody of us writes.
  case malformed
  /// A second request in a slot whose first one has no answer yet, or an answer that nobody waits for.
  case slotMisused(UInt16)

  var description: String {
    switch self {
    case .malformed: "a malformed message about image files"
    case .slotMisused(let slot): "a message about image files in slot \(slot), out of turn"
    }
  }
}
