// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

/// An image's error on the way from the outer to the inner end, whole: users see the same words with and without the
/// software machine.
enum ImageErrorCode {
  static func encode(_ error: ImageError) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(text: error.file)
    bytes.append(text: error.structure)
    bytes.append(optional: error.offset)
    switch error.reason {
    case .store(let error):
      bytes.append(0)
      let (reason, code) = FileAnswer.code(error.reason)
      bytes.append(text: error.name)
      bytes.append(contentsOf: [FileAnswer.code(error.operation), reason])
      bytes.append(little: code)
      bytes.append(optional: error.offset)
    case .damaged(let text): bytes.append(1, text)
    case .unsupported(let text): bytes.append(2, text)
    case .invalid(let text): bytes.append(3, text)
    case .parent(let text): bytes.append(4, text)
    case .readOnly: bytes.append(5)
    case .poisoned: bytes.append(6)
    case .closed: bytes.append(7)
    }
    return bytes
  }

  static func decode(_ bytes: [UInt8]) -> ImageError? {
    var rest = bytes[...]
    guard let file = rest.takeText(), let structure = rest.takeText(), let offset = rest.takeOptional(),
      let kind = rest.takeLittle(UInt8.self), let reason = reason(kind, &rest), rest.isEmpty
    else { return nil }
    return ImageError(file: file, structure: structure, offset: offset, reason)
  }

  private static func reason(_ kind: UInt8, _ rest: inout ArraySlice<UInt8>) -> ImageError.Reason? {
    switch kind {
    case 0:
      guard let name = rest.takeText(), let operation = rest.takeLittle(UInt8.self).flatMap(FileAnswer.operation),
        let reason = rest.takeLittle(UInt8.self), let code = rest.takeLittle(Int32.self),
        let why = FileAnswer.reason(reason, code), let offset = rest.takeOptional()
      else { return nil }
      return .store(StoreError(name: name, operation: operation, reason: why, offset: offset))
    case 1: return rest.takeText().map { .damaged($0) }
    case 2: return rest.takeText().map { .unsupported($0) }
    case 3: return rest.takeText().map { .invalid($0) }
    case 4: return rest.takeText().map { .parent($0) }
    case 5: return .readOnly
    case 6: return .poisoned
    case 7: return .closed
    default: return nil
    }
  }
}

extension [UInt8] {
  fileprivate mutating func append(_ kind: UInt8, _ text: String) {
    append(kind)
    append(text: text)
  }

  fileprivate mutating func append(optional value: UInt64?) {
    append(value == nil ? 0 : 1)
    append(little: value ?? 0)
  }
}

extension ArraySlice<UInt8> {
  fileprivate mutating func takeOptional() -> UInt64?? {
    guard let isThere = takeLittle(UInt8.self), let value = takeLittle(UInt64.self) else { return .none }
    return .some(isThere == 0 ? nil : value)
  }
}
