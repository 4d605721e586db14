// SPDX-License-Identifier: Apache-2.0

import Glibc

/// This program and the shared libraries that it runs with: what becomes the inner machine's init.
struct ProgramImage {
  /// The running program's file; the kernel's link stays right when the file was replaced or removed.
  static let path = "/proc/\(getpid())/exe"  // "self" would be the helper program in a helper's arguments

  /// Names program and libraries: the program by its content, libraries by what stat says about those mapped here.
  static func digest() throws(SoftwareMachineError) -> String {
    var hash = ContentHash()
    do {
      try hash.add(fileAt: path)
      for library in mappedLibraries() {
        let status = try FileStatus(at: library)
        hash.add("\(library) \(status.size) \(status.modified) \(status.inode)")
      }
    } catch {
      throw .preparation("this program's own files cannot be read: \(error)")
    }
    return hash.text
  }

  private static func mappedLibraries() -> [String] {
    var program = [CChar](repeating: 0, count: 4096)
    let length = unsafe readlink(path, &program, program.count)
    var found: Set<String> = []
    for line in (SystemFiles.text(at: "/proc/self/maps") ?? "").split(separator: "\n") {
      guard let slash = line.firstIndex(of: "/"), line.contains("r-xp") else { continue }
      found.insert(String(line[slash...]))
    }
    if length > 0 { found.remove(String(decoding: program[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self)) }
    return found.sorted()
  }

  /// Adds the program as /init and its libraries at the paths where it looks for them.
  static func add(
    to archive: inout Archive, scratch: String, interrupts: Interrupts
  ) throws(SoftwareMachineError) {
    let content = try stripped(scratch: scratch, interrupts: interrupts)
    archive.addFile("init", mode: 0o755, content: content)
    guard let interpreter = Self.interpreter(ofProgram: content) else { return }
    // The loader itself says what it would load, under the names by which it looks.
    let listing = try Command.run(interpreter, ["--list", path], interrupts: interrupts)
    guard listing.succeeded else {
      throw .preparation("the libraries of this program cannot be listed: \(listing.errors)")
    }
    var added: Set<String> = []
    for library in [interpreter] + libraries(listing: listing.output) where added.insert(library).inserted {
      guard let content = SystemFiles.bytes(at: library) else {
        throw .preparation("the library \(library) cannot be read")
      }
      archive.addFile(String(library.dropFirst()), mode: 0o755, content: content)
    }
  }

  /// The program without its debugging sections where `strip` is there; they only cost the inner machine memory.
  private static func stripped(scratch: String, interrupts: Interrupts) throws(SoftwareMachineError) -> [UInt8] {
    defer { Folder.remove(scratch) }
    if Command.find("strip") != nil,
      let result = try? Command.run("strip", ["--strip-all", "-o", scratch, path], interrupts: interrupts),
      result.succeeded, let bytes = SystemFiles.bytes(at: scratch, limit: 1 << 30)
    {
      return bytes
    }
    guard let bytes = SystemFiles.bytes(at: path, limit: 1 << 30) else {
      throw .preparation("this program's own file cannot be read")
    }
    return bytes
  }

  /// The absolute paths in the loader's list: "name => /path (0x…)".
  static func libraries(listing: String) -> [String] {
    listing.split(separator: "\n").compactMap { line in
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      guard let arrow = words.firstIndex(of: "=>"), arrow + 1 < words.count, words[arrow + 1].hasPrefix("/") else {
        return nil
      }
      return String(words[arrow + 1])
    }
  }

  /// The loader that an ELF program names in its PT_INTERP segment; nil: it needs none.
  static func interpreter(ofProgram bytes: [UInt8]) -> String? {
    func number<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> Int? {
      guard offset >= 0, offset < bytes.count else { return nil }
      var rest = bytes[offset...]
      return rest.takeLittle(T.self).flatMap { Int(exactly: $0) }
    }
    // ELF64: e_phoff at 32, e_phentsize at 54, e_phnum at 56; p_type 3, p_offset at 8, p_filesz at 32.
    guard bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2]), let table = number(32, UInt64.self),
      let size = number(54, UInt16.self), let count = number(56, UInt16.self)
    else { return nil }
    for index in 0..<count {
      let header = table &+ index &* size
      guard number(header, UInt32.self) == 3, let offset = number(header &+ 8, UInt64.self),
        let length = number(header &+ 32, UInt64.self), length > 1, offset <= bytes.count,
        length <= bytes.count - offset
      else { continue }
      return String(decoding: bytes[offset..<offset + length - 1], as: UTF8.self)
    }
    return nil
  }
}
