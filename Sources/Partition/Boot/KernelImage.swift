// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What a kernel file asks of its loader, read from its headers. Nothing is loaded here and nothing is believed that was
/// not checked against the file's length.
struct KernelImage: Equatable, Sendable {
  /// Bytes of the file that go to one place in memory; what `memoryBytes` exceeds `fileBytes` by is zeros.
  struct Segment: Equatable, Sendable {
    var fileOffset: UInt64
    var fileBytes: UInt64
    var address: UInt64
    var memoryBytes: UInt64
  }

  var segments: [Segment]
  /// Physical address of the first instruction, in 64-bit mode with the low 4 GiB mapped one to one.
  var entry: UInt64
  /// First byte after what the kernel uses before it knows its memory map: no initramfs before this.
  var end: UInt64
  /// The highest byte that an initramfs may occupy.
  var highestInitramfs: UInt64
  var commandLineLimit: Int
  /// The kernel's own set-up header, to be copied to the parameter page at 0x1F1; empty for ELF.
  var setupHeader: [UInt8]

  /// The first byte in memory; nil: nothing is loaded.
  var start: UInt64? { segments.map(\.address).min() }

  /// Bytes from the start of the file that `init` wants to see.
  static let headerBytes = 0x1_0000
  static let setupHeaderOffset = 0x1F1

  /// `header` holds the file's first bytes, `fileBytes` is its length.
  init(header: RawSpan, fileBytes: UInt64) throws(KernelProblem) {
    guard fileBytes > 0 else { throw .init(.empty) }
    if (try? header.read(UInt32.self, at: 0)) == 0x464C_457F {
      self = try Self.elf(header, fileBytes: fileBytes)
      return
    }
    if (try? header.read(UInt32.self, at: 0x202)) == 0x5372_6448, (try? header.read(UInt16.self, at: 0x1FE)) == 0xAA55 {
      self = try Self.bzImage(header, fileBytes: fileBytes)
      return
    }
    // Images of other architectures carry a magic at 0x38 (Documentation/arm64/booting, riscv/boot-image-header).
    switch try? header.read(UInt32.self, at: 0x38) {
    case 0x644D_5241: throw .init(.wrongArchitecture("arm64"))
    case 0x0543_5352: throw .init(.wrongArchitecture("RISC-V"))
    default: break
    }
    if fileBytes < 0x206 { throw .init(.truncated(needed: 0x206, available: fileBytes)) }
    throw .init(.notAKernel)
  }

  private init(
    segments: [Segment], entry: UInt64, end: UInt64, highestInitramfs: UInt64, commandLineLimit: Int,
    setupHeader: [UInt8]
  ) {
    self.segments = segments
    self.entry = entry
    self.end = end
    self.highestInitramfs = highestInitramfs
    self.commandLineLimit = commandLineLimit
    self.setupHeader = setupHeader
  }

  // MARK: bzImage (Documentation/x86/boot.rst of Linux)

  /// Bytes of the boot sector and the 16-bit code, from the field `setup_sects`: what is loaded lies behind.
  static func setupCodeBytes(sectors: UInt8) -> UInt64 { (UInt64(sectors == 0 ? 4 : sectors) + 1) * 512 }

  private static func bzImage(_ header: RawSpan, fileBytes: UInt64) throws(KernelProblem) -> KernelImage {
    func field<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, _ offset: Int) throws(KernelProblem) -> T {
      do { return try header.read(type, at: offset) } catch {
        throw .init(.truncated(needed: UInt64(offset + MemoryLayout<T>.size), available: fileBytes))
      }
    }
    let version = try field(UInt16.self, 0x206)
    guard version >= 0x020C else {
      throw .init(.malformed("its boot protocol \(version >> 8).\(version & 0xFF) is older than 2.12"))
    }
    guard try field(UInt8.self, 0x211) & 1 == 1 else { throw .init(.malformed("it is a zImage, not a bzImage")) }
    guard try field(UInt16.self, 0x236) & 1 == 1 else { throw .init(.wrongArchitecture("32-bit x86")) }
    let payload = setupCodeBytes(sectors: try field(UInt8.self, 0x1F1))
    let payloadBytes = UInt64(try field(UInt32.self, 0x1F4)) * 16
    guard payloadBytes > 0x200 else { throw .init(.malformed("it has no payload")) }
    guard payload + payloadBytes <= fileBytes else {
      throw .init(.truncated(needed: payload + payloadBytes, available: fileBytes))
    }
    let preferred = try field(UInt64.self, 0x258)
    let room = UInt64(try field(UInt32.self, 0x260))
    guard preferred >= GuestLayout.extendedMemory, preferred < 1 << 32, room >= payloadBytes else {
      throw .init(.malformed("its load address or size makes no sense"))
    }
    let headerEnd = 0x202 + Int(try field(UInt8.self, 0x201))
    guard headerEnd >= 0x264, headerEnd <= 0x2D0, headerEnd <= header.byteCount else {
      throw .init(.malformed("its set-up header ends at \(headerEnd)"))
    }
    let limit = try field(UInt32.self, 0x238)
    var copy: [UInt8] = []
    for offset in setupHeaderOffset..<headerEnd { copy.append(try field(UInt8.self, offset)) }
    return KernelImage(
      segments: [
        Segment(fileOffset: payload, fileBytes: payloadBytes, address: preferred, memoryBytes: payloadBytes)
      ],
      entry: preferred + 0x200, end: preferred + room, highestInitramfs: UInt64(try field(UInt32.self, 0x22C)),
      commandLineLimit: min(Int(limit == 0 ? 255 : limit), GuestLayout.commandLineRoom - 1), setupHeader: copy)
  }

  // MARK: ELF vmlinux

  private static func elf(_ header: RawSpan, fileBytes: UInt64) throws(KernelProblem) -> KernelImage {
    func field<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, _ offset: Int) throws(KernelProblem) -> T {
      do { return try header.read(type, at: offset) } catch {
        throw .init(.truncated(needed: UInt64(offset) &+ UInt64(MemoryLayout<T>.size), available: fileBytes))
      }
    }
    guard try field(UInt8.self, 4) == 2 else { throw .init(.wrongArchitecture("32-bit ELF")) }
    guard try field(UInt8.self, 5) == 1 else { throw .init(.wrongArchitecture("big-endian ELF")) }
    let machine = try field(UInt16.self, 18)
    guard machine == 62 else {
      let names: [UInt16: String] = [
        3: "32-bit x86", 40: "arm", 183: "arm64", 243: "RISC-V", 21: "PowerPC", 22: "s390",
      ]
      throw .init(.wrongArchitecture(names[machine] ?? "ELF machine \(machine)"))
    }
    let kind = try field(UInt16.self, 16)
    guard kind == 2 || kind == 3 else { throw .init(.malformed("its ELF type \(kind) is not an executable")) }
    let entry = try field(UInt64.self, 24)
    let table = try field(UInt64.self, 32)
    let entryBytes = try field(UInt16.self, 54)
    let count = try field(UInt16.self, 56)
    guard entryBytes >= 56, count > 0, count <= 64 else { throw .init(.malformed("its program header table")) }
    let tableBytes = UInt64(entryBytes) * UInt64(count)
    guard table <= fileBytes, tableBytes <= fileBytes - table else {
      throw .init(.truncated(needed: table &+ tableBytes, available: fileBytes))
    }
    guard table + tableBytes <= UInt64(header.byteCount) else {
      throw .init(.malformed("its program headers lie \(table) bytes into the file"))
    }
    var segments: [Segment] = []
    var start: UInt64?
    var end: UInt64 = 0
    for number in 0..<Int(count) {
      let at = Int(table) + number * Int(entryBytes)
      guard try field(UInt32.self, at) == 1 else { continue }  // PT_LOAD
      let fileOffset = try field(UInt64.self, at + 8)
      let virtual = try field(UInt64.self, at + 16)
      let physical = try field(UInt64.self, at + 24)
      let size = try field(UInt64.self, at + 32)
      let memory = try field(UInt64.self, at + 40)
      guard memory > 0 else { continue }
      guard size <= memory else { throw .init(.malformed("segment \(number) is larger in the file than in memory")) }
      guard fileOffset <= fileBytes, size <= fileBytes - fileOffset else {
        throw .init(.truncated(needed: fileOffset &+ size, available: fileBytes))
      }
      guard physical >= GuestLayout.extendedMemory, memory <= 1 << 32, physical < 1 << 32 else {
        throw .init(.malformed("segment \(number) wants to be at \(String(physical, radix: 16))"))
      }
      segments.append(Segment(fileOffset: fileOffset, fileBytes: size, address: physical, memoryBytes: memory))
      end = max(end, physical + memory)
      // Linux gives a physical entry; a virtual one is translated.
      if entry >= physical, entry < physical + memory {
        start = entry
      } else if start == nil, entry >= virtual, entry - virtual < memory {
        start = physical + (entry - virtual)
      }
    }
    guard !segments.isEmpty else { throw .init(.malformed("it has nothing to load")) }
    guard let start else { throw .init(.noEntryPoint("0x" + String(entry, radix: 16))) }
    return KernelImage(
      segments: segments, entry: start, end: end, highestInitramfs: 0x7FFF_FFFF, commandLineLimit: 2047, setupHeader: []
    )
  }
}

/// A kernel file that cannot be booted.
struct KernelProblem: Error, Equatable, Sendable {
  var problem: BootFileProblem
  init(_ problem: BootFileProblem) { self.problem = problem }
}
