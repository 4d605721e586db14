// SPDX-License-Identifier: Apache-2.0

/// One line of the memory map that the kernel gets from its loader.
struct E820Entry: Equatable, Sendable {
  enum Kind: UInt32, Sendable {
    case ram = 1
    case reserved = 2
  }
  var base: UInt64
  var byteCount: UInt64
  var kind: Kind

  static func map(of ranges: [GuestMemoryRange]) -> [E820Entry] {
    var map: [E820Entry] = []
    for range in ranges {
      guard range.base == 0 else {
        map.append(E820Entry(base: range.base, byteCount: range.byteCount, kind: .ram))
        continue
      }
      map.append(E820Entry(base: 0, byteCount: GuestLayout.conventionalEnd, kind: .ram))
      map.append(
        E820Entry(
          base: GuestLayout.conventionalEnd, byteCount: GuestLayout.extendedMemory - GuestLayout.conventionalEnd,
          kind: .reserved))
      map.append(
        E820Entry(
          base: GuestLayout.extendedMemory, byteCount: range.end - GuestLayout.extendedMemory, kind: .ram))
    }
    return map
  }
}

/// The page of parameters at the kernel's entry ("zero page", Documentation/x86/zero-page.rst of Linux).
struct BootParameters: Sendable {
  static let byteCount = 4096

  var setupHeader: [UInt8]
  var memoryMap: [E820Entry]
  var rootPointer: UInt64
  var commandLine: UInt64
  var initramfs: GuestMemoryRange?
  var setupData: UInt64

  func encoded() -> [UInt8] {
    var page = ByteImage(count: Self.byteCount)
    if setupHeader.isEmpty {
      // ELF: a header that says what a boot loader would have found.
      page.put(UInt16(0xAA55), at: 0x1FE)
      page.put(UInt32(0x5372_6448), at: 0x202)
      page.put(UInt16(0x020F), at: 0x206)
      page.put(UInt8(1), at: 0x211)
      page.put(UInt32(0x0100_0000), at: 0x230)
    } else {
      page.put(setupHeader, at: KernelImage.setupHeaderOffset)
    }
    page.put(rootPointer, at: 0x070)
    page.put(UInt8(memoryMap.count), at: 0x1E8)
    page.put(UInt8(0xFF), at: 0x210)  // a loader without a number of its own
    page.put(UInt32(truncatingIfNeeded: commandLine), at: 0x228)
    page.put(UInt32(truncatingIfNeeded: commandLine >> 32), at: 0x0C8)
    if let initramfs {
      page.put(UInt32(truncatingIfNeeded: initramfs.base), at: 0x218)
      page.put(UInt32(truncatingIfNeeded: initramfs.base >> 32), at: 0x0C0)
      page.put(UInt32(truncatingIfNeeded: initramfs.byteCount), at: 0x21C)
      page.put(UInt32(truncatingIfNeeded: initramfs.byteCount >> 32), at: 0x0C4)
    } else {
      page.put(UInt64(0), at: 0x218)
    }
    page.put(setupData, at: 0x250)
    for (number, entry) in memoryMap.enumerated() {
      let at = 0x2D0 + number * 20
      page.put(entry.base, at: at)
      page.put(entry.byteCount, at: at + 8)
      page.put(entry.kind.rawValue, at: at + 16)
    }
    return page.bytes
  }
}
