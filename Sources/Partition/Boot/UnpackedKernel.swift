// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What the host does in place of a bzImage's own code: which parts of the unpacked ELF file go where, and what of them
/// changes with the address. Linux's page tables, memory map and the like are its own business either way.
struct UnpackedKernel: Sendable {
  /// Loads from the payload's bytes, with the bzImage's set-up header.
  var image: KernelImage
  /// nil: the kernel is not made to be moved.
  var relocations: KernelRelocations?
  private var alignment: UInt64

  /// More than any kernel has.
  private static let tableLimit: UInt64 = 16 << 20
  /// In the set-up header: the kernel was moved at random (`KASLR_FLAG` of `loadflags`). Linux then does the same to its
  /// other areas.
  private static let randomizedFlag: UInt8 = 1 << 1
  private static let loadFlags = 0x211 - KernelImage.setupHeaderOffset
  private static let kernelAlignment = 0x230 - KernelImage.setupHeaderOffset

  /// `payload` is what `packed` unpacks to. nil: it is not as expected; the kernel's own code may know better.
  init?(_ payload: some BootBytes, of packed: KernelImage) {
    do {
      let header = try payload.header()
      var image = try unsafe KernelImage(header: header.span.bytes, fileBytes: payload.byteCount)
      guard image.setupHeader.isEmpty, let start = image.start,
        start >= packed.segments.first?.address ?? .max, image.end <= packed.end,
        packed.setupHeader.count > Self.kernelAlignment + 4
      else { return nil }
      alignment = UInt64(try unsafe packed.setupHeader.span.bytes.read(UInt32.self, at: Self.kernelAlignment))
      relocations = nil
      let end = try unsafe Self.end(header.span.bytes, image)
      if end < payload.byteCount, payload.byteCount - end <= Self.tableLimit {
        let table = unsafe UnpackedBytes(byteCount: Int(payload.byteCount - end)) { buffer in
          (try? unsafe payload.read(at: end, into: buffer)) != nil
        }
        let last = image.segments.map { $0.address + $0.fileBytes }.max() ?? start
        relocations = table.flatMap { KernelRelocations($0, image: start..<last) }
      }
      image.setupHeader = packed.setupHeader
      image.commandLineLimit = packed.commandLineLimit
      image.highestInitramfs = packed.highestInitramfs
      self.image = image
    } catch {
      return nil
    }
  }

  /// Bytes of the ELF file: its last segment, or the section headers behind.
  private static func end(_ header: RawSpan, _ image: KernelImage) throws(WireError) -> UInt64 {
    let sections = try header.read(UInt64.self, at: 40)
    let count = UInt64(try header.read(UInt16.self, at: 58)) * UInt64(try header.read(UInt16.self, at: 60))
    let segments = image.segments.map { $0.fileOffset + $0.fileBytes }.max() ?? 0
    return max(segments, sections > .max - count ? .max : sections + count)
  }

  /// Moves the kernel, which is in `memory`, to another virtual address: `random` says which.
  mutating func randomize(_ random: UInt64, in memory: GuestMemory) {
    guard let relocations, let start = image.start else { return }
    let steps = KernelRelocations.choices(end: image.end, alignment: alignment)
    let count = Int(image.end - start)
    guard let base = unsafe memory.pointer(to: start, count: count) else { return }
    unsafe relocations.apply(
      random % steps &* alignment, to: UnsafeMutableRawBufferPointer(start: base, count: count), at: start)
    image.setupHeader[Self.loadFlags] |= Self.randomizedFlag
  }
}
