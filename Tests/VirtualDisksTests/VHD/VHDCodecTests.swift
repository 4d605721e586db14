// SPDX-License-Identifier: Apache-2.0

import StoreDoubles
import Testing
import VMBus

@testable import VirtualDisks

/// The structures as bytes.
@Suite struct VHDCodecTests {
  /// `qemu-img create -f vpc -o subformat=dynamic d.vhd 10M`, qemu-img 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18): bytes 0–95, the
  /// rest of the sector is zero.
  static let footer =
    bytes(
      "636f6e6563746978000000020001000000000000000002003295f76f71656d75"
        + "000500035769326b0000000000a070000000000000a07000012e041100000003"
        + "ffffeb5b89eab6ccbc4b48be9da84dcafc5f1abe000000000000000000000000") + zeroes(512 - 96)
  /// The same file, bytes 512–575, the rest of the header is zero.
  static let header =
    bytes(
      "6378737061727365ffffffffffffffff00000000000006000001000000000006"
        + "00200000fffff471000000000000000000000000000000000000000000000000") + zeroes(1024 - 64)

  static func bytes(_ hex: String) -> [UInt8] {
    stride(from: 0, to: hex.utf8.count, by: 2).compactMap { offset in
      UInt8(String(decoding: Array(hex.utf8)[offset..<offset + 2], as: UTF8.self), radix: 16)
    }
  }

  static func zeroes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

  @Test func footerOfQEMU() throws {
    let footer = try VHDFooter(decoding: Self.footer)
    #expect(footer.kind == .dynamic && footer.dataOffset == 512 && footer.features == 2)
    #expect(footer.currentSize == 10_514_432 && footer.originalSize == 10_514_432)
    #expect(footer.geometry == VHDGeometry(cylinders: 302, heads: 4, sectorsPerTrack: 17))
    #expect(footer.geometry == VHDGeometry(sectors: footer.currentSize / 512))
    #expect("\(footer.identifier)" == "89eab6cc-bc4b-48be-9da8-4dcafc5f1abe")
    #expect(footer.timestamp.rawValue == 0x3295_f76f)
    #expect(footer.encoded() == Self.footer)
  }

  @Test func headerOfQEMU() throws {
    let header = try VHDDynamicHeader(decoding: Self.header, diskSize: 10_514_432)
    #expect(header.tableOffset == 1536 && header.tableEntries == 6 && header.blockSize == 2 << 20)
    #expect(header.bitmapBytes == 512 && header.tableBytes == 512)
    #expect(header.parentName.isEmpty && header.locators.allSatisfy { $0 == .empty })
    #expect(header.encoded() == Self.header)
  }

  @Test func everyLengthButTheRightOneIsRefused() {
    for count in 0..<512 {
      #expect(throws: VHDDefect.self) { try VHDFooter(decoding: Array(Self.footer.prefix(count))) }
    }
    for count in 0..<1024 {
      #expect(throws: VHDDefect.self) {
        try VHDDynamicHeader(decoding: Array(Self.header.prefix(count)), diskSize: 1 << 20)
      }
    }
  }

  @Test func everyFlippedByteIsNoticed() {
    for index in 0..<512 {
      var damaged = Self.footer
      damaged[index] ^= 0x20
      #expect(throws: VHDDefect.self) { try VHDFooter(decoding: damaged) }
    }
    for index in 0..<1024 {
      var damaged = Self.header
      damaged[index] ^= 0x04
      #expect(throws: VHDDefect.self) { try VHDDynamicHeader(decoding: damaged, diskSize: 10_514_432) }
    }
  }

  /// Sizes and geometries that qemu-img 7.2.22 gave images of 1 MiB to 130 GiB: it makes them fit each other.
  @Test(
    arguments: [
      (1_079_296, 31, 4, 17), (4_212_736, 121, 4, 17), (104_865_792, 1004, 12, 17), (528_482_304, 1024, 16, 63),
      (1_048_707_072, 2032, 16, 63), (16_777_248_768, 32508, 16, 63), (68_158_586_880, 32628, 16, 255),
      (136_365_219_840, 65279, 16, 255), (139_586_437_120, 65535, 16, 255), (2_190_433_320_960, 65535, 16, 255),
    ] as [(UInt64, UInt16, UInt8, UInt8)])
  func geometry(size: UInt64, cylinders: UInt16, heads: UInt8, sectors: UInt8) {
    #expect(
      VHDGeometry(sectors: size / 512)
        == VHDGeometry(cylinders: cylinders, heads: heads, sectorsPerTrack: sectors))
  }

  @Test func geometryNeverHoldsMoreThanTheDisk() {
    let sizes: [UInt64] = Array(0..<3000) + (11..<42).map { (UInt64(1) << $0) - 1 }
    for sectors in sizes {
      #expect(VHDGeometry(sectors: sectors).sectors <= sectors)
    }
  }

  @Test func parentPaths() {
    func path(_ platform: VHDParentLocator.Platform, _ data: [UInt8]) -> String? {
      VHDParentLocator(platform: platform, dataSpace: 0, dataLength: 0, dataOffset: 0).path(from: data)
    }
    func wide(_ text: String) -> [UInt8] {
      text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
    }
    #expect(path(.relative, wide(".\\basis.vhd")) == ".\\basis.vhd")
    #expect(path(.relative, wide("a\0")) == "a")
    #expect(path(.absolute, wide("C:\\Disks\\größe.vhd")) == "C:\\Disks\\größe.vhd")
    #expect(path(.macX, Array("file://localhost/a%20b/c.vhd".utf8)) == "/a b/c.vhd")
    #expect(path(.macX, Array("file:///x".utf8)) == "/x")
    #expect(path(.macX, Array("http://x/y".utf8)) == nil)
    #expect(path(.macX, Array("file:///a%00b".utf8)) == nil)
    #expect(path(.relative, [0x41]) == nil)
    #expect(path(.relative, [0x00, 0xd8]) == nil)
    #expect(path(.relative, wide("a\0b")) == nil)
    #expect(path(VHDParentLocator.Platform(rawValue: 0x5769_326b), wide("a")) == nil)
  }

  @Test func windowsPaths() {
    #expect(WindowsPath.hostPath(".\\a.vhd") == "./a.vhd")
    #expect(WindowsPath.hostPath("C:\\Disks\\a.vhd") == "/Disks/a.vhd")
    #expect(WindowsPath.hostPath("\\\\?\\C:\\a.vhd") == "/a.vhd")
    #expect(WindowsPath.hostPath("\\\\server\\share\\a.vhd") == nil)
    #expect(WindowsPath.hostPath("\\\\?\\UNC\\server\\a.vhd") == nil)
    #expect(WindowsPath.hostPath("/srv/a.vhd") == "/srv/a.vhd")
    #expect(WindowsPath.hostPath("") == nil)
    #expect(WindowsPath.windowsPath("a.vhd") == ".\\a.vhd")
    #expect(WindowsPath.windowsPath("../b/a.vhd") == "..\\b\\a.vhd")
    #expect(WindowsPath.windowsPath("/srv/a.vhd") == "\\srv\\a.vhd")
    #expect(RelativePath.from("/srv/vm", to: "/srv/base/a.vhd") == "../base/a.vhd")
    #expect(RelativePath.from("/srv", to: "/srv/a.vhd") == "a.vhd")
    #expect(RelativePath.from("/", to: "/a") == "a")
  }

  @Test func identifiersKeepTheirBytes() {
    let identifier = VHDIdentifier(high: 0x0011_2233_4455_6677, low: 0x8899_aabb_ccdd_eeff)
    #expect("\(identifier)" == "00112233-4455-6677-8899-aabbccddeeff")
    #expect(VHDIdentifier(identifier.guid) == identifier)
    #expect(identifier.guid.low == 0x7766_5544_3322_1100)
    let random = VHDIdentifier.random()
    #expect(random.high >> 12 & 0xf == 4 && random.low >> 62 == 2)
  }
}
