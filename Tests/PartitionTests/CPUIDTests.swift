// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Partition

@Suite struct CPUIDTests {
  /// A host as KVM may describe it: its own leaves at two bases, nested virtualization, counters.
  static let host: [CPUIDEntry] = [
    CPUIDEntry(function: 0, eax: 0x1F),
    CPUIDEntry(function: 1, ebx: 0x0704_0800, ecx: 1 << 5 | 1 << 3, edx: 0x178B_FBFF),
    CPUIDEntry(function: 4, index: 0, indexed: true, eax: 0x0400_4121),
    CPUIDEntry(function: 4, index: 3, indexed: true, eax: 0x0400_4163),
    CPUIDEntry(function: 6),
    CPUIDEntry(function: 0xA, eax: 0x0730_0404, ebx: 1, edx: 3),
    CPUIDEntry(function: 0xB, index: 0, indexed: true, eax: 1, ebx: 2, ecx: 0x100, edx: 7),
    CPUIDEntry(function: 0x1F, index: 0, indexed: true, eax: 1, ebx: 2, ecx: 0x100, edx: 7),
    CPUIDEntry(function: 0x4000_0000, eax: 0x4000_0001, ebx: 0x4B4D_564B),
    CPUIDEntry(function: 0x4000_0001, eax: 0x0100_7EFB),
    CPUIDEntry(function: 0x4000_0100, eax: 0x4000_0101, ebx: 0x4B4D_564B),
    CPUIDEntry(function: 0x8000_0000, eax: 0x8000_001F),
    CPUIDEntry(function: 0x8000_0001, ecx: 1 << 2),
    CPUIDEntry(function: 0x8000_0008, eax: 0x3028, ecx: 0x700F),
    CPUIDEntry(function: 0x8000_001E, eax: 9, ebx: 9, ecx: 9),
  ]

  func leaf(_ entries: [CPUIDEntry], _ function: UInt32, _ index: UInt32 = 0) -> CPUIDEntry? {
    entries.first { $0.function == function && $0.index == index }
  }

  @Test func hypervisorLeavesAreOnlyThoseOfHyperV() throws {
    let entries = CPUIDTable(supported: Self.host, processors: 1, constantTSC: false, automaticEOI: false).entries(
      forProcessor: 0)
    let hypervisor = entries.filter { $0.function >> 28 == 4 }
    #expect(hypervisor.map(\.function) == Array(0x4000_0000...0x4000_0006))
    let vendor = try #require(leaf(entries, 0x4000_0000))
    #expect([vendor.ebx, vendor.ecx, vendor.edx] == [0x7263_694D, 0x666F_736F, 0x7648_2074])
    #expect(vendor.eax >= 0x4000_0005 && vendor.eax < 0x4000_000A)
    #expect(leaf(entries, 0x4000_0001)?.eax == 0x3123_7648)
    #expect(try #require(leaf(entries, 1)).ecx & 1 << 31 != 0)
  }

  @Test func featuresAreTheRequiredAndNotTheDangerousOnes() throws {
    let entries = CPUIDTable(supported: Self.host, processors: 1, constantTSC: false, automaticEOI: false).entries(
      forProcessor: 0)
    let features = try #require(leaf(entries, 0x4000_0003))
    for bit: UInt32 in [1, 2, 3, 5, 6, 9, 11] { #expect(features.eax & 1 << bit != 0, "bit \(bit)") }
    for bit: UInt32 in [10, 13] { #expect(features.eax & 1 << bit == 0, "bit \(bit)") }
    // Partition id, processor management, extended hypercalls, isolation.
    for bit: UInt32 in [1, 12, 20, 22] { #expect(features.ebx & 1 << bit == 0, "privilege \(bit)") }
    for bit: UInt32 in [8, 10, 19] { #expect(features.edx & 1 << bit != 0, "miscellaneous \(bit)") }
    let advice = try #require(leaf(entries, 0x4000_0004))
    #expect(advice.eax & 1 << 9 != 0)
    for bit: UInt32 in [12, 14] { #expect(advice.eax & 1 << bit == 0) }
    #expect(advice.ebx == .max)
  }

  @Test(arguments: [true, false]) func theBusInterruptEndsByItselfWhereThatIsCheaper(automaticEOI: Bool) throws {
    let entries = CPUIDTable(supported: Self.host, processors: 1, constantTSC: false, automaticEOI: automaticEOI)
      .entries
    let advice = try #require(leaf(entries, 0x4000_0004))
    #expect(advice.eax == 1 << 3 | 1 << 5 | (automaticEOI ? 0 : 1 << 9))
  }

  @Test(arguments: [
    (["kvm_intel/parameters/enable_apicv": "Y\n"], true), (["kvm_intel/parameters/enable_apicv": "N\n"], false),
    (["kvm_amd/parameters/avic": "1\n"], true), (["kvm_amd/parameters/avic": "N\n"], false),
    (["kvm_amd/parameters/avic": "N\n", "kvm_intel/parameters/enable_apicv": "Y\n"], true),
    (["kvm_amd/parameters/avic": ""], true), ([:], true),
  ]) func whetherTheHostDeliversInterruptsByItself(parameters: [String: String], expected: Bool) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "modules-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in parameters {
      let file = folder.appending(path: name)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    #expect(InterruptVirtualization.isUsed(modules: folder.path) == expected)
  }

  @Test(arguments: [true, false]) func wideRegistersAreOnlyWhereTheyCanBeSaved(hasXSAVE: Bool) throws {
    var host = Self.host.filter { $0.function != 1 }
    host.append(CPUIDEntry(function: 1, ecx: 0xFFFF_FFFF & ~(hasXSAVE ? 0 : 1 << 26)))
    host.append(CPUIDEntry(function: 7, indexed: true, ebx: .max, ecx: .max, edx: .max))
    host.append(CPUIDEntry(function: 7, index: 1, indexed: true, eax: .max, edx: .max))
    host.append(CPUIDEntry(function: 0xD, indexed: true, eax: 7, ebx: 576, ecx: 2696))
    let entries = CPUIDTable(supported: host, processors: 1, constantTSC: false, automaticEOI: false).entries(
      forProcessor: 0)
    #expect((try #require(leaf(entries, 1)).ecx & 1 << 28 != 0) == hasXSAVE, "AVX")
    let extended = try #require(leaf(entries, 7))
    #expect((extended.ebx & 1 << 5 != 0) == hasXSAVE, "AVX2")
    #expect((extended.ebx & 1 << 31 != 0) == hasXSAVE, "AVX-512 VL")
    #expect((extended.ecx & 1 << 3 != 0) == hasXSAVE, "protection keys")
    #expect(extended.ebx & 1 << 9 != 0 && extended.ecx & 1 << 8 != 0, "ERMS, GFNI")
    #expect((leaf(entries, 0xD) != nil) == hasXSAVE)
  }

  @Test(arguments: [1, 2, 3, 4, 8]) func identifiersAgreeInAllLeaves(processors: Int) throws {
    let table = CPUIDTable(supported: Self.host, processors: processors, constantTSC: false, automaticEOI: false)
    for id in 0..<UInt32(processors) {
      let entries = table.entries(forProcessor: Int(id))
      let basic = try #require(leaf(entries, 1))
      #expect(basic.ebx >> 24 == id)
      #expect(basic.ebx >> 16 & 0xFF == UInt32(processors))
      #expect((basic.edx & 1 << 28 != 0) == (processors > 1))
      let cores = try #require(leaf(entries, 0xB, 1))
      #expect(cores.edx == id && leaf(entries, 0xB, 0)?.edx == id)
      #expect(cores.ebx == UInt32(processors))
      #expect(1 << cores.eax >= processors)
      #expect(leaf(entries, 0x8000_001E)?.eax == id)
    }
    #expect(leaf(table.entries, 0x1F) == nil)
    #expect(try #require(leaf(table.entries, 0x8000_0008)).ecx & 0xFF == UInt32(processors - 1))
    #expect(try #require(leaf(table.entries, 4, 3)).eax >> 14 & 0xFFF == UInt32(processors - 1))
    #expect(try #require(leaf(table.entries, 4, 0)).eax >> 14 & 0xFFF == 0)
  }

  @Test func timersAreThereAndNestedVirtualizationIsNot() throws {
    let entries = CPUIDTable(supported: Self.host, processors: 1, constantTSC: true, automaticEOI: false).entries
    let basic = try #require(leaf(entries, 1))
    #expect(basic.ecx & 1 << 21 != 0 && basic.ecx & 1 << 24 != 0)
    #expect(basic.ecx & 1 << 5 == 0 && basic.ecx & 1 << 3 == 0)
    #expect(try #require(leaf(entries, 6)).eax & 4 != 0)
    #expect(try #require(leaf(entries, 0x8000_0001)).ecx & 4 == 0)
    #expect(leaf(entries, 0xA) == CPUIDEntry(function: 0xA))
    #expect(try #require(leaf(entries, 0x8000_0007)).edx == 1 << 8)
  }

  @Test func constantRateIsNotPromisedForOthers() {
    let entries = CPUIDTable(supported: Self.host, processors: 2, constantTSC: false, automaticEOI: false).entries
    #expect(leaf(entries, 0x8000_0007) == nil)
  }

  @Test(arguments: [
    (UInt32(0x0080_0F12), true), (0x00A2_0F10, true), (0x0060_0F12, true), (0x0006_0FB1, false), (0x0000_06D3, false),
  ]) func modernAMD(version: UInt32, expected: Bool) {
    let vendor = CPUIDEntry(function: 0, eax: 0xD, ebx: 0x6874_7541)
    #expect(CPUIDTable.isModernAMD([vendor, CPUIDEntry(function: 1, eax: version)]) == expected)
    #expect(!CPUIDTable.isModernAMD([CPUIDEntry(function: 0), CPUIDEntry(function: 1, eax: version)]))
    #expect(!CPUIDTable.isModernAMD([]))
  }

  @Test func kernelLayoutRoundTrips() {
    let entry = CPUIDEntry(function: 0xB, index: 1, indexed: true, eax: 1, ebx: 2, ecx: 3, edx: 4)
    #expect(entry.kernelWords.count == 5)
    #expect(CPUIDEntry(kernelWords: entry.kernelWords[...]) == entry)
  }
}
