// SPDX-License-Identifier: Apache-2.0

/// Checksums that a sender left to others.
public enum ChecksumCompletion {
  /// Computes the checksum of a whole frame. False: its places do not lie in it.
  static func finish(_ frame: UnsafeMutableRawBufferPointer, start: UInt16, offset: UInt16) -> Bool {
    let start = Int(start)
    let place = start + Int(offset)
    guard start >= 14, place + 2 <= frame.count else { return false }
    var sum = InternetChecksum()
    unsafe sum.add(UnsafeRawBufferPointer(rebasing: frame[start...]))
    // UDP says "none" with 0, and its own 0 with the other zero of one's complement. To TCP both are the same.
    let value = sum.value == 0 ? 0xffff : sum.value
    unsafe frame.storeBytes(of: value.bigEndian, toByteOffset: place, as: UInt16.self)
    return true
  }

  /// Makes a frame one whose checksum is still needed: puts the pseudo header's sum (with the length, as virtio-net and
  /// Linux want it) where the checksum belongs. `header` are the frame's first bytes, of `byteCount` in all. `nil`: no TCP
  /// or UDP header there.
  public static func prepare(_ header: UnsafeMutableRawBufferPointer, byteCount: Int) -> FrameOffloads.Checksum? {
    guard let place = unsafe TransportHeader(UnsafeRawBufferPointer(header).bytes), place.start < byteCount,
      place.start + place.checksumOffset + 2 <= header.count
    else { return nil }
    let sum = unsafe place.pseudoHeader(UnsafeRawBufferPointer(header), byteCount: byteCount - place.start)
    unsafe header.storeBytes(
      of: sum.folded.bigEndian, toByteOffset: place.start + place.checksumOffset, as: UInt16.self)
    return .needed(start: UInt16(clamping: place.start), offset: UInt16(place.checksumOffset))
  }
}
