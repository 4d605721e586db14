// SPDX-License-Identifier: Apache-2.0

import Glibc

/// How a bzImage's kernel is packed (Documentation/x86/boot.rst of Linux, `payload_offset`).
///
/// The unpacking is done by the libraries that a Linux system has for its packages, loaded when one is needed: nothing
/// has to be installed to build this program or to run it. Where one is missing the guest unpacks its kernel itself.
enum KernelCompression: Equatable, Sendable, CaseIterable {
  /// Not at all. No distribution makes such a bzImage; we do, for a machine that should not spend its time unpacking.
  case stored
  case gzip
  case lz4
  case xz
  case zstd

  /// Bytes that `init` wants to see.
  static let magicBytes = 6

  /// nil: packed in another way.
  init?(magic: [UInt8]) {
    func begins(_ bytes: [UInt8]) -> Bool { magic.starts(with: bytes) }
    if begins([0x7F, 0x45, 0x4C, 0x46]) {
      self = .stored
    } else if begins([0x1F, 0x8B]) {
      self = .gzip
    } else if begins(Self.lz4Magic) {
      self = .lz4
    } else if begins([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]) {
      self = .xz
    } else if begins([0x28, 0xB5, 0x2F, 0xFD]) {
      self = .zstd
    } else {
      return nil
    }
  }

  /// The frame of `lz4 -l`, which kernels use.
  private static let lz4Magic: [UInt8] = [0x02, 0x21, 0x4C, 0x18]

  /// False: `source` is not `destination.count` bytes packed in this way, or the library is not there.
  func unpack(_ source: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer) -> Bool {
    switch self {
    case .stored: return false
    case .gzip: return unsafe Self.inflate(source, destination)
    case .lz4: return unsafe Self.lz4(source, destination)
    case .xz: return unsafe Self.xz(source, destination)
    case .zstd: return unsafe Self.zstd(source, destination)
    }
  }

  // MARK: Libraries

  /// Stays loaded: the next restart needs it again.
  private static func symbol<Function>(_ name: String, in library: String, as type: Function.Type) -> Function? {
    guard let handle = unsafe dlopen(library, RTLD_NOW | RTLD_LOCAL), let address = unsafe dlsym(handle, name) else {
      return nil
    }
    return unsafe unsafeBitCast(address, to: type)
  }

  private typealias Bytes = UnsafeRawPointer
  private typealias MutableBytes = UnsafeMutableRawPointer

  private static func zstd(_ source: UnsafeRawBufferPointer, _ destination: UnsafeMutableRawBufferPointer) -> Bool {
    typealias Decompress = @convention(c) (MutableBytes?, Int, Bytes?, Int) -> Int
    guard let decompress = unsafe symbol("ZSTD_decompress", in: "libzstd.so.1", as: Decompress.self) else {
      return false
    }
    return unsafe decompress(destination.baseAddress, destination.count, source.baseAddress, source.count)
      == destination.count
  }

  /// Blocks of up to 8 MiB unpacked, each behind its packed length; the frame's magic may come again between them.
  private static func lz4(_ source: UnsafeRawBufferPointer, _ destination: UnsafeMutableRawBufferPointer) -> Bool {
    typealias Decompress = @convention(c) (Bytes?, MutableBytes?, Int32, Int32) -> Int32
    guard let decompress = unsafe symbol("LZ4_decompress_safe", in: "liblz4.so.1", as: Decompress.self) else {
      return false
    }
    let magic: UInt32 = 0x184C_2102
    var place = 0
    var done = 0
    while place < source.count {
      guard source.count - place >= 4 else { return false }
      let count = UInt32(littleEndian: unsafe source.loadUnaligned(fromByteOffset: place, as: UInt32.self))
      place += 4
      if count == magic { continue }
      guard count > 0, Int(count) <= source.count - place, done < destination.count else { return false }
      let packed = unsafe UnsafeRawBufferPointer(rebasing: source[place..<place + Int(count)])
      let room = unsafe UnsafeMutableRawBufferPointer(rebasing: destination[done...])
      let result = unsafe decompress(
        packed.baseAddress, room.baseAddress, Int32(clamping: count), Int32(clamping: min(room.count, 8 << 20)))
      guard result > 0 else { return false }
      place += Int(count)
      done += Int(result)
    }
    return done == destination.count
  }

  private static func xz(_ source: UnsafeRawBufferPointer, _ destination: UnsafeMutableRawBufferPointer) -> Bool {
    typealias Decode =
      @convention(c) (
        UnsafeMutablePointer<UInt64>?, UInt32, Bytes?, Bytes?, UnsafeMutablePointer<Int>?, Int, MutableBytes?,
        UnsafeMutablePointer<Int>?, Int
      ) -> Int32
    guard let decode = unsafe symbol("lzma_stream_buffer_decode", in: "liblzma.so.5", as: Decode.self) else {
      return false
    }
    // Kernels are packed with a dictionary of up to 128 MiB.
    var limit: UInt64 = 256 << 20
    var taken = 0
    var made = 0
    let result = unsafe decode(
      &limit, 0, nil, source.baseAddress, &taken, source.count, destination.baseAddress, &made, destination.count)
    return result == 0 && made == destination.count
  }

  private static func inflate(_ source: UnsafeRawBufferPointer, _ destination: UnsafeMutableRawBufferPointer) -> Bool {
    typealias Begin = @convention(c) (MutableBytes?, Int32, UnsafePointer<CChar>?, Int32) -> Int32
    typealias Go = @convention(c) (MutableBytes?, Int32) -> Int32
    typealias End = @convention(c) (MutableBytes?) -> Int32
    let library = "libz.so.1"
    guard let begin = unsafe symbol("inflateInit2_", in: library, as: Begin.self),
      let go = unsafe symbol("inflate", in: library, as: Go.self),
      let end = unsafe symbol("inflateEnd", in: library, as: End.self),
      let packed = UInt32(exactly: source.count), let room = UInt32(exactly: destination.count)
    else { return false }
    // `z_stream` of zlib 1.2 and 1.3 on 64 bits: next_in, avail_in, total_in, next_out, avail_out, total_out and others.
    let streamBytes = 112
    let stream = UnsafeMutableRawBufferPointer.allocate(byteCount: streamBytes, alignment: 16)
    defer { unsafe stream.deallocate() }
    unsafe stream.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe stream.storeBytes(of: UInt(bitPattern: source.baseAddress), toByteOffset: 0, as: UInt.self)
    unsafe stream.storeBytes(of: packed, toByteOffset: 8, as: UInt32.self)
    unsafe stream.storeBytes(of: UInt(bitPattern: destination.baseAddress), toByteOffset: 24, as: UInt.self)
    unsafe stream.storeBytes(of: room, toByteOffset: 32, as: UInt32.self)
    // 16: gzip's header; 15: its largest window. The library compares only the first figure of the version.
    guard unsafe begin(stream.baseAddress, 16 + 15, "1", Int32(streamBytes)) == 0 else { return false }
    let finish: Int32 = 4
    let streamEnd: Int32 = 1
    let result = unsafe go(stream.baseAddress, finish)
    let left = unsafe stream.load(fromByteOffset: 32, as: UInt32.self)
    _ = unsafe end(stream.baseAddress)
    return result == streamEnd && left == 0
  }
}
