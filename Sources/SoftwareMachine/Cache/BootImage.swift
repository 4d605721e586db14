// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The inner machine's initramfs: this program as init, its libraries and the modules.
struct BootImage {
  /// The cache entry's name.
  let identity: String
  let path: String

  /// Changes when what is put into the image, or what init does, changes without the program's digest changing.
  private static let form = 1

  static func identity(program: String, kernel: InnerKernel) -> String {
    var hash = ContentHash()
    hash.add("\(form) \(program) \(kernel.identity)")
    return "boot-\(hash.text)"
  }

  static func prepare(
    identity: String, kernel: InnerKernel, in cache: Cache, interrupts: Interrupts, progress: (String) -> Void
  ) throws(SoftwareMachineError) -> BootImage {
    if let folder = cache.find(identity) { return BootImage(identity: identity, path: folder + "/initramfs") }
    progress("building the boot image")
    let folder = try cache.build(identity) { folder throws(SoftwareMachineError) in
      var archive = Archive()
      for name in ["dev", "proc", "sys", "tmp", "run", "root", "modules"] { archive.addFolder(name) }
      archive.addCharacterDevice("dev/console", major: 5, minor: 1)
      archive.addCharacterDevice("dev/null", major: 1, minor: 3)
      for module in kernel.modules {
        guard let content = SystemFiles.bytes(at: "\(kernel.folder)/modules/\(module)") else {
          throw .preparation("the cached module \(module) cannot be read")
        }
        archive.addFile("modules/\(module)", content: content)
      }
      try ProgramImage.add(to: &archive, scratch: folder + "/scratch", interrupts: interrupts)
      archive.finish()
      do {
        try SystemFiles.write(archive.bytes, to: folder + "/initramfs")
      } catch {
        throw .preparation("the boot image cannot be written: \(error)")
      }
    }
    return BootImage(identity: identity, path: folder + "/initramfs")
  }
}
