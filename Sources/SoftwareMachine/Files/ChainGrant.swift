// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

/// A chain of images that the outer end has opened, as it tells the inner end: its files by number, and what lay at the
/// paths that it looked at on the way. With it the inner end opens the same chain without asking again.
struct ChainGrant: Equatable, Sendable {
  struct File: Equatable, Sendable {
    var path: String
    var mode: FileStore.Mode
    var number: UInt32
  }

  var files: [File] = []
  var found: [String: FoundFile] = [:]

  func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(little: UInt16(clamping: files.count))
    for file in files {
      bytes.append(text: file.path)
      bytes.append(file.mode == .readOnly ? 0 : 1)
      bytes.append(little: file.number)
    }
    bytes.append(little: UInt16(clamping: found.count))
    for (path, file) in found {
      bytes.append(text: path)
      bytes.append(text: file.resolved)
      bytes.append(little: file.identity.device)
      bytes.append(little: file.identity.inode)
      bytes.append(little: file.identity.modified)
    }
    return bytes
  }

  init(files: [File] = [], found: [String: FoundFile] = [:]) {
    self.files = files
    self.found = found
  }

  init?(decoding bytes: [UInt8]) {
    var rest = bytes[...]
    guard let count = rest.takeLittle(UInt16.self) else { return nil }
    for _ in 0..<count {
      guard let path = rest.takeText(), let mode = rest.takeLittle(UInt8.self), mode < 2,
        let number = rest.takeLittle(UInt32.self)
      else { return nil }
      files.append(File(path: path, mode: mode == 0 ? .readOnly : .readWrite, number: number))
    }
    guard let count = rest.takeLittle(UInt16.self) else { return nil }
    for _ in 0..<count {
      guard let path = rest.takeText(), let resolved = rest.takeText(), let device = rest.takeLittle(UInt64.self),
        let inode = rest.takeLittle(UInt64.self), let modified = rest.takeLittle(Int64.self)
      else { return nil }
      found[path] = FoundFile(
        resolved: resolved, identity: FileIdentity(device: device, inode: inode, modified: modified))
    }
    guard rest.isEmpty else { return nil }
  }
}

extension [UInt8] {
  /// Appends a string of at most 64 KiB, its length first.
  mutating func append(text: String) {
    let utf8 = Array(text.utf8.prefix(Int(UInt16.max)))
    append(little: UInt16(utf8.count))
    append(contentsOf: utf8)
  }
}

extension ArraySlice<UInt8> {
  mutating func takeText() -> String? {
    guard let count = takeLittle(UInt16.self), self.count >= count else { return nil }
    let text = String(validating: prefix(Int(count)), as: UTF8.self)
    self = dropFirst(Int(count))
    return text
  }
}
