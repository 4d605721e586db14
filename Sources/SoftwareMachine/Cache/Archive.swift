// SPDX-License-Identifier: Apache-2.0

/// A cpio archive in the "newc" form, which Linux unpacks as its initramfs
/// (kernel documentation, driver-api/early-userspace/buffer-format).
///
/// Each entry is "070701" and thirteen numbers of eight hexadecimal digits, the name with a zero byte, padding to four
/// bytes, the content, padding to four bytes. The archive ends with an entry named TRAILER!!!.
struct Archive {
  private(set) var bytes: [UInt8] = []
  private var folders: Set<String> = []
  private var serial: UInt32 = 0

  /// Adds a folder and those above it.
  mutating func addFolder(_ path: String) {
    guard !path.isEmpty, folders.insert(path).inserted else { return }
    addParents(of: path)
    entry(path, mode: 0o040755, content: [])
  }

  mutating func addFile(_ path: String, mode: UInt32 = 0o644, content: [UInt8]) {
    addParents(of: path)
    entry(path, mode: 0o100000 | mode, content: content)
  }

  mutating func addCharacterDevice(_ path: String, major: UInt32, minor: UInt32) {
    addParents(of: path)
    entry(path, mode: 0o020600, content: [], device: (major, minor))
  }

  /// Ends the archive; nothing may be added after it.
  mutating func finish() {
    serial = .max
    entry("TRAILER!!!", mode: 0, content: [])
  }

  private mutating func addParents(of path: String) {
    if let slash = path.lastIndex(of: "/") { addFolder(String(path[..<slash])) }
  }

  private mutating func entry(
    _ name: String, mode: UInt32, content: [UInt8], device: (major: UInt32, minor: UInt32) = (0, 0)
  ) {
    precondition(!name.hasPrefix("/") && content.count <= UInt32.max)
    serial &+= 1
    bytes.append(contentsOf: "070701".utf8)
    let links: UInt32 = mode & 0o040000 != 0 ? 2 : 1
    let fields: [UInt32] = [
      serial, mode, 0, 0, links, 0, UInt32(content.count), 0, 0, device.major, device.minor,
      UInt32(name.utf8.count + 1), 0,
    ]
    for field in fields {
      let digits = String(field, radix: 16)
      bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: 8 - digits.utf8.count))
      bytes.append(contentsOf: digits.utf8)
    }
    bytes.append(contentsOf: name.utf8)
    bytes.append(0)
    pad()
    bytes.append(contentsOf: content)
    pad()
  }

  private mutating func pad() {
    while bytes.count % 4 != 0 { bytes.append(0) }
  }
}
