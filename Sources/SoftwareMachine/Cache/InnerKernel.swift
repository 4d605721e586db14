// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// The software machine's own Linux: a kernel and the few modules that it needs, as a cache entry.
///
/// Debian's cloud kernel, as it is. LIS_INNER_KERNEL and LIS_INNER_MODULES (its folder in /lib/modules) name another one.
struct InnerKernel {
  /// The cache entry's name: what the state is keyed by.
  let identity: String
  let folder: String

  var image: String { folder + "/vmlinuz" }
  /// Module files in loading order: "NN-name.ko".
  var modules: [String] { Folder.names(folder + "/modules") }

  /// KVM with AMD's SVM (what QEMU's software processor offers), then the port to the outer program, then the disks.
  static let moduleNames = ["kvm_amd", "virtio_pci", "virtio_console", "virtio_blk"]
  static let package = "linux-image-cloud-amd64"

  /// Where the kernel comes from: asked before the lock is taken.
  private enum Source {
    case local(image: String, modules: String, entry: String)
    case debian
  }

  private static func source() throws(SoftwareMachineError) -> Source {
    guard let image = unsafe getenv("LIS_INNER_KERNEL").map({ unsafe String(cString: $0) }) else { return .debian }
    guard let modules = unsafe getenv("LIS_INNER_MODULES").map({ unsafe String(cString: $0) }) else {
      throw .preparation(
        "LIS_INNER_KERNEL is set, LIS_INNER_MODULES (its folder in /lib/modules) is not; set both or none")
    }
    var hash = ContentHash()
    do {
      try hash.add(fileAt: image)
      try hash.add(fileAt: modules + "/modules.order")
    } catch {
      throw .preparation(
        "the software machine's kernel cannot be read: \(error); check LIS_INNER_KERNEL and LIS_INNER_MODULES")
    }
    return .local(image: image, modules: modules, entry: "kernel-local-\(hash.text)")
  }

  /// The cached kernel, without any building.
  static func cached(in cache: Cache) throws(SoftwareMachineError) -> InnerKernel? {
    let entry: String?
    switch try source() {
    case .local(_, _, let name): entry = name
    // The newest package that was fetched; looking for a newer one would cost the second that we do not have.
    case .debian: entry = cache.entries("kernel-linux-image").last
    }
    guard let entry, let folder = cache.find(entry) else { return nil }
    return InnerKernel(identity: entry, folder: folder)
  }

  /// Fetches or copies the kernel into the cache.
  static func prepare(
    in cache: Cache, interrupts: Interrupts, progress: (String) -> Void
  ) throws(SoftwareMachineError) -> InnerKernel {
    if let kernel = try cached(in: cache) { return kernel }
    switch try source() {
    case .local(let image, let modules, let entry):
      let folder = try cache.build(entry) { folder throws(SoftwareMachineError) in
        try collect(image: image, modules: modules, into: folder, interrupts: interrupts)
      }
      return InnerKernel(identity: entry, folder: folder)
    case .debian: return try fetch(into: cache, interrupts: interrupts, progress: progress)
    }
  }

  private static let remedy =
    "the software machine needs Debian's package \(package) once (through apt-get download, no root needed), "
    + "or LIS_INNER_KERNEL and LIS_INNER_MODULES naming another kernel"

  private static func fetch(
    into cache: Cache, interrupts: Interrupts, progress: (String) -> Void
  ) throws(SoftwareMachineError) -> InnerKernel {
    guard Command.find("apt-get") != nil, Command.find("dpkg-deb") != nil else {
      throw .preparation("apt-get and dpkg-deb were not found; \(remedy)")
    }
    let listing = try Command.run("apt-cache", ["depends", package], interrupts: interrupts)
    let words = listing.output.split(whereSeparator: { $0 == " " || $0 == "\n" || $0 == "\t" }).map(String.init)
    guard let mark = words.firstIndex(of: "Depends:"), mark + 1 < words.count else {
      throw .preparation("apt knows no package \(package) (run apt-get update?); \(remedy)")
    }
    let name = words[mark + 1]
    progress("fetching \(name) (once, about 25 MB)")
    let entry = "kernel-\(name)"
    let folder = try cache.build(entry) { folder throws(SoftwareMachineError) in
      let download = try Command.run("apt-get", ["-qq", "download", name], folder: folder, interrupts: interrupts)
      guard download.succeeded, let file = Folder.names(folder).first(where: { $0.hasSuffix(".deb") }) else {
        throw .preparation("\(name) cannot be fetched: \(lastLine(download.errors)); \(remedy)")
      }
      progress("unpacking \(name)")
      let unpacked = folder + "/unpacked"
      let result = try Command.run("dpkg-deb", ["-x", "\(folder)/\(file)", unpacked], interrupts: interrupts)
      guard result.succeeded else {
        throw .preparation("\(file) cannot be unpacked: \(lastLine(result.errors))")
      }
      guard let image = Folder.names(unpacked + "/boot").first(where: { $0.hasPrefix("vmlinuz-") }),
        let version = Folder.names(unpacked + "/lib/modules").first
      else { throw .preparation("\(file) holds no kernel") }
      let modules = "\(unpacked)/lib/modules/\(version)"
      try collect(image: "\(unpacked)/boot/\(image)", modules: modules, into: folder, interrupts: interrupts)
      Folder.remove(unpacked)
      Folder.remove("\(folder)/\(file)")
    }
    return InnerKernel(identity: entry, folder: folder)
  }

  /// Copies the image and the needed modules, unpacked, numbered in loading order.
  private static func collect(
    image: String, modules: String, into folder: String, interrupts: Interrupts
  ) throws(SoftwareMachineError) {
    let index = ModuleIndex(
      order: SystemFiles.text(at: modules + "/modules.order") ?? "",
      builtIn: SystemFiles.text(at: modules + "/modules.builtin") ?? "")
    let loaded = try index.load(moduleNames) { file throws(SoftwareMachineError) in
      try read("\(modules)/\(file)", scratch: folder + "/scratch", interrupts: interrupts)
    }
    do {
      guard let bytes = SystemFiles.bytes(at: image) else { throw SystemError("read", image) }
      try SystemFiles.write(bytes, to: folder + "/vmlinuz")
      try Folder.make(folder + "/modules")
      for (number, module) in loaded.enumerated() {
        let prefix = "\(number < 10 ? "0" : "")\(number)-"
        try SystemFiles.write(module.content, to: "\(folder)/modules/\(prefix)\(module.name).ko")
      }
    } catch {
      throw .preparation("the software machine's kernel cannot be copied: \(error)")
    }
  }

  /// A module's content. It may be packed; the boot image holds it plain, so that the slow processor need not unpack.
  private static func read(
    _ path: String, scratch: String, interrupts: Interrupts
  ) throws(SoftwareMachineError) -> [UInt8] {
    if let bytes = SystemFiles.bytes(at: path) { return bytes }
    for (suffix, tool) in [(".xz", "xz"), (".zst", "zstd"), (".gz", "gzip")] {
      guard unsafe access(path + suffix, R_OK) == 0 else { continue }
      defer { Folder.remove(scratch) }
      do {
        let file = try Descriptor.open(scratch, O_WRONLY | O_CREAT | O_TRUNC)
        let result = try Command.run(tool, ["-dc", path + suffix], outputFile: file.number, interrupts: interrupts)
        guard result.succeeded, let bytes = SystemFiles.bytes(at: scratch) else {
          throw SoftwareMachineError.preparation("\(path)\(suffix) cannot be unpacked: \(lastLine(result.errors))")
        }
        return bytes
      } catch let error as SoftwareMachineError {
        throw error
      } catch {
        throw .preparation("\(path)\(suffix) cannot be unpacked: \(error)")
      }
    }
    throw .preparation("the software machine's kernel lacks the module file \(path)")
  }

  /// What a helper program said, in one line: a full disk where it says so, else its last words.
  private static func lastLine(_ text: String) -> String {
    if text.contains("No space left") { return "no space left on the cache's disk" }
    return text.split(separator: "\n").last.map(String.init) ?? "no message"
  }
}
