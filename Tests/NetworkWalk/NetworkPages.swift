// SPDX-License-Identifier: Apache-2.0

import ServiceClients
import ServiceProviders
import VMBus

/// A guest's memory: pages from frame `firstFrame` on, handed out one by one and not in order.
@safe public final class NetworkPages: NetworkMemory {
  public static let firstFrame: UInt64 = 0x1000
  public let frameCount: Int
  private let base: UnsafeMutableRawPointer
  private var free: [UInt64]

  public init(frameCount: Int) {
    self.frameCount = frameCount
    unsafe base = .allocate(byteCount: frameCount * 4096, alignment: 4096)
    unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: frameCount * 4096)
    // Mostly apart, sometimes side by side.
    free = (0..<UInt64(frameCount)).map { Self.firstFrame + $0 }
    var state: UInt64 = 7
    for index in free.indices.dropLast() where index % 3 != 0 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      free.swapAt(index, index + Int(state >> 33) % (free.count - index))
    }
  }

  deinit { unsafe base.deallocate() }

  public func take(_ count: Int) -> [UInt64] {
    defer { free.removeFirst(count) }
    return Array(free.prefix(count))
  }

  private func place(_ address: UInt64, _ count: Int) -> Int? {
    let first = Self.firstFrame << 12
    guard address >= first, address - first <= UInt64(frameCount * 4096) else { return nil }
    let offset = Int(address - first)
    return count <= frameCount * 4096 - offset ? offset : nil
  }

  public func read(_ address: UInt64, into bytes: inout MutableRawSpan) -> Bool {
    guard let offset = place(address, bytes.byteCount) else { return false }
    let count = bytes.byteCount
    unsafe bytes.withUnsafeMutableBytes { target in
      if let to = target.baseAddress { unsafe to.copyMemory(from: base + offset, byteCount: count) }
    }
    return true
  }

  public func write(_ address: UInt64, from bytes: RawSpan) -> Bool {
    guard let offset = place(address, bytes.byteCount) else { return false }
    unsafe bytes.withUnsafeBytes { source in
      if let from = source.baseAddress { unsafe (base + offset).copyMemory(from: from, byteCount: source.count) }
    }
    return true
  }

  public func read(_ segment: GPASegment) -> [UInt8]? {
    guard let count = Int(exactly: segment.byteCount), count <= frameCount * 4096 else { return nil }
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    return read(segment.address, into: &raw) ? bytes : nil
  }

  /// Into a buffer of these frames.
  public func write(_ bytes: some Collection<UInt8>, at offset: Int, of frames: [UInt64]) {
    let buffer = NetworkBuffer(frames: frames)
    let bytes = Array(bytes)
    var done = 0
    while done < bytes.count, let run = buffer.run(at: UInt64(offset + done), limit: UInt64(bytes.count - done)) {
      let part = Array(bytes[done..<done + Int(run.byteCount)])
      _ = write(run.address, from: unsafe part.span.bytes)
      done += part.count
    }
  }

  public func read(_ count: Int, at offset: Int, of frames: [UInt64]) -> [UInt8] {
    let buffer = NetworkBuffer(frames: frames)
    var bytes: [UInt8] = []
    while bytes.count < count,
      let run = buffer.run(at: UInt64(offset + bytes.count), limit: UInt64(count - bytes.count)),
      let part = read(run)
    {
      bytes += part
    }
    return bytes
  }
}

/// The receive buffer as the guest sees it.
struct ReceiveView: NetworkReceiveBuffer {
  let pages: NetworkPages
  let frames: [UInt64]

  func copy(at offset: UInt32, into bytes: inout MutableRawSpan) {
    let copy = pages.read(bytes.byteCount, at: Int(offset), of: frames)
    for (index, byte) in copy.enumerated() {
      do throws(WireError) { try bytes.write(byte, at: index) } catch { return }
    }
  }
}
