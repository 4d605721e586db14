// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Synchronization

/// Puts a kernel, its initramfs and its parameters into guest memory, as often as asked.
final class BootLoader: Sendable {
  private let kernel: BootSource
  private let initramfs: BootSource?
  /// What the file is, packed or not.
  private let image: KernelImage
  /// What is unpacked here; nil: the kernel comes as it is, and unpacks itself.
  private let payload: KernelPayload?
  private let commandLine: [UInt8]
  private let initramfsRange: GuestMemoryRange?
  private let ranges: [GuestMemoryRange]
  /// What is in memory.
  private let loaded: Mutex<KernelImage>

  /// Where the first processor begins, once the files are loaded.
  var entry: UInt64 { loaded.withLock(\.entry) }

  /// Opens and checks everything; loads nothing.
  init(_ configuration: PartitionConfiguration, ranges: [GuestMemoryRange]) throws(PartitionError) {
    let kernelPath = configuration.kernel.name
    self.ranges = ranges
    do { kernel = try BootSource(opening: configuration.kernel) } catch {
      throw .kernel(path: kernelPath, error.problem)
    }
    let header = try Self.readHeader(kernel)
    do { image = try unsafe KernelImage(header: header.span.bytes, fileBytes: kernel.byteCount) } catch {
      throw .kernel(path: kernelPath, error.problem)
    }
    let payload = unsafe KernelPayload(header: header.span.bytes, of: kernel)
    // The code of a bzImage cannot unpack what is not packed.
    self.payload = configuration.guestUnpacksKernel && payload?.compression != .stored ? nil : payload
    loaded = Mutex(image)
    let lowEnd = ranges.first?.end ?? 0
    let needed = image.segments.reduce(image.end) { max($0, $1.address + $1.memoryBytes) }
    guard needed <= lowEnd else {
      throw .kernel(path: kernelPath, .doesNotFit(needed: needed, available: lowEnd))
    }
    commandLine = Array(configuration.commandLine.utf8)
    guard commandLine.count <= image.commandLineLimit else {
      throw .commandLineTooLong(commandLine.count, limit: image.commandLineLimit)
    }
    guard !commandLine.contains(0) else { throw .commandLineNotUsable }
    guard let file = configuration.initramfs else {
      initramfs = nil
      initramfsRange = nil
      return
    }
    let source: BootSource
    do { source = try BootSource(opening: file) } catch { throw .initramfs(path: file.name, error.problem) }
    // As high as allowed, so that it is out of the way of a kernel that unpacks itself.
    let limit = min(lowEnd, image.highestInitramfs &+ 1)
    let size = (source.byteCount &+ 4095) & ~4095
    let bottom = (image.end + 4095) & ~4095
    guard limit > bottom, size >= source.byteCount, size <= limit - bottom else {
      throw .initramfs(
        path: file.name, .doesNotFit(needed: source.byteCount, available: limit > bottom ? limit - bottom : 0))
    }
    initramfsRange = GuestMemoryRange(base: (limit - size) & ~4095, byteCount: source.byteCount)
    initramfs = source
  }

  private static func readHeader(_ kernel: BootSource) throws(PartitionError) -> [UInt8] {
    do { return try kernel.header() } catch { throw .kernel(path: kernel.path, error.problem) }
  }

  /// Puts kernel and initramfs into memory, which must read as zeros before.
  func loadFiles(into memory: GuestMemory) throws(PartitionError) {
    let kernel = try loadKernel(into: memory)
    loaded.withLock { $0 = kernel }
    if let range = initramfsRange {
      guard let target = unsafe memory.pointer(to: range.base, count: Int(range.byteCount)) else {
        throw .wrongState("the initramfs is outside memory")
      }
      let buffer = unsafe UnsafeMutableRawBufferPointer(start: target, count: Int(range.byteCount))
      do { try unsafe initramfs?.read(at: 0, into: buffer) } catch {
        throw .initramfs(path: initramfs?.path ?? "", error.problem)
      }
    }
  }

  /// A kernel that cannot be unpacked here comes as it is.
  private func loadKernel(into memory: GuestMemory) throws(PartitionError) -> KernelImage {
    if let payload {
      if payload.compression == .stored {
        let bytes = BootPart(whole: kernel, offset: payload.fileOffset, byteCount: payload.packedBytes)
        if let image = try load(bytes, into: memory) { return image }
      } else if let bytes = payload.unpack(kernel), let image = try load(bytes, into: memory) {
        return image
      }
    }
    try place(image, from: kernel, in: memory)
    return image
  }

  /// nil: it is not as expected, and nothing was loaded.
  private func load(_ payload: some BootBytes, into memory: GuestMemory) throws(PartitionError) -> KernelImage? {
    guard var unpacked = UnpackedKernel(payload, of: image) else { return nil }
    try place(unpacked.image, from: payload, in: memory)
    var random: UInt64 = 0
    if !isToStay, unsafe clinux_random(&random, MemoryLayout<UInt64>.size) == MemoryLayout<UInt64>.size {
      unpacked.randomize(random, in: memory)
    }
    return unpacked.image
  }

  /// The command line wants the kernel where it was linked to.
  private var isToStay: Bool {
    commandLine.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }).contains(
      Array("nokaslr".utf8)[...])
  }

  private func place(
    _ image: KernelImage, from source: some BootBytes, in memory: GuestMemory
  ) throws(PartitionError) {
    for segment in image.segments {
      guard let target = unsafe memory.pointer(to: segment.address, count: Int(segment.fileBytes)) else {
        throw .kernel(path: kernel.path, .doesNotFit(needed: segment.address, available: memory.byteCount))
      }
      let buffer = unsafe UnsafeMutableRawBufferPointer(start: target, count: Int(segment.fileBytes))
      do { try unsafe source.read(at: segment.fileOffset, into: buffer) } catch {
        throw .kernel(path: kernel.path, error.problem)
      }
    }
  }

  /// Puts everything else there, after the files. `acpi` are the tables that go to `GuestLayout.acpi`.
  func writeParameters(
    into memory: GuestMemory, acpi: [UInt8], managementInformation: [UInt8], seed: [UInt8]
  ) throws(PartitionError) {
    let parameters = BootParameters(
      setupHeader: loaded.withLock(\.setupHeader), memoryMap: E820Entry.map(of: ranges), rootPointer: GuestLayout.acpi,
      commandLine: GuestLayout.commandLine, initramfs: initramfsRange,
      setupData: seed.isEmpty ? 0 : GuestLayout.setupData)
    do {
      try memory.write(GuestLayout.bootParameters, parameters.encoded())
      try memory.write(GuestLayout.commandLine, commandLine + [0])
      try memory.write(GuestLayout.acpi, acpi)
      try memory.write(GuestLayout.managementInformation, managementInformation)
      try memory.write(GuestLayout.pageTables, Self.identityPageTables())
      try memory.write(GuestLayout.descriptorTable, Self.descriptors())
      if !seed.isEmpty { try memory.write(GuestLayout.setupData, Self.seedNode(seed)) }
    } catch { throw .wrongState("boot data lies outside memory: \(error)") }
  }

  /// setup_data of type 9: random bytes for the kernel's pool (it ignores the type if it is too old to know it).
  static func seedNode(_ seed: [UInt8]) -> [UInt8] {
    var node = ByteImage(count: 16 + seed.count)
    node.put(UInt32(9), at: 8)
    node.put(UInt32(seed.count), at: 12)
    node.put(seed, at: 16)
    return node.bytes
  }

  /// 4 GiB one to one in 2 MiB pages.
  static func identityPageTables() -> [UInt8] {
    let present: UInt64 = 0x3
    var tables = ByteImage(count: 6 * 4096)
    let base = GuestLayout.pageTables
    tables.put((base + 4096) | present, at: 0)
    for directory in 0..<4 {
      tables.put((base + UInt64(directory + 2) * 4096) | present, at: 4096 + directory * 8)
      for entry in 0..<512 {
        let address = (UInt64(directory) << 30) | (UInt64(entry) << 21)
        tables.put(address | present | 0x80, at: (directory + 2) * 4096 + entry * 8)
      }
    }
    return tables.bytes
  }

  /// 0x10: 64-bit code, 0x18: data, as the 64-bit boot protocol wants them.
  static func descriptors() -> [UInt8] {
    var table = ByteImage(count: 32)
    table.put(UInt64(0x00AF_9B00_0000_FFFF), at: 16)
    table.put(UInt64(0x00CF_9300_0000_FFFF), at: 24)
    return table.bytes
  }
}
