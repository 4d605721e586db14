// SPDX-License-Identifier: Apache-2.0

/// One range of guest physical memory: `byteCount` bytes that begin `byteOffset` bytes into the first of `pageCount`
/// pages. The page numbers stay in the private copy of the packet.
public struct GPARange: Equatable, Sendable {
  /// May be 0: Linux's network stack sends empty fragments.
  public let byteCount: UInt32
  /// Below 4096.
  public let byteOffset: UInt32
  /// Pages that the range touches: ceil((byteOffset + byteCount) / 4096).
  public let pageCount: Int
  /// Bytes from the start of the packet's copy to the first page number.
  @usableFromInline let listOffset: Int

  @inlinable
  init(byteCount: UInt32, byteOffset: UInt32, pageCount: Int, listOffset: Int) {
    self.byteCount = byteCount
    self.byteOffset = byteOffset
    self.pageCount = pageCount
    self.listOffset = listOffset
  }

  /// Guest page number `index`, counted from 0, in `bytes`, the copy that the range was taken from. Whether the guest
  /// has such a page is the memory's business; only numbers that no byte address can reach are refused here.
  @inlinable
  public func pageFrame(at index: Int, in bytes: RawSpan) throws(RingError) -> UInt64 {
    guard index >= 0, index < pageCount else { throw .corrupt(.descriptor(.pageList(byteCount: byteCount))) }
    let frame: UInt64
    do throws(WireError) {
      frame = try bytes.read(UInt64.self, at: listOffset &+ index &* 8)
    } catch {
      throw .corrupt(.descriptor(.truncated))
    }
    guard frame < 1 << 52 else { throw .corrupt(.descriptor(.pageFrame(frame))) }
    return frame
  }
}
