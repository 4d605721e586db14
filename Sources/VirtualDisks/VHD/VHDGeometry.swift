// SPDX-License-Identifier: Apache-2.0

/// Cylinders, heads and sectors of a track: what Virtual PC computed a disk's size from, and what its BIOS showed.
public struct VHDGeometry: Hashable, Sendable {
  public var cylinders: UInt16
  public var heads: UInt8
  public var sectorsPerTrack: UInt8

  public init(cylinders: UInt16, heads: UInt8, sectorsPerTrack: UInt8) {
    self.cylinders = cylinders
    self.heads = heads
    self.sectorsPerTrack = sectorsPerTrack
  }

  /// The geometry of a disk of so many sectors, by the rule of the format's specification (appendix "CHS calculation"). It
  /// holds at most as many sectors as the disk has, and 65535 × 16 × 255 at most, which is a little less than 128 GiB.
  public init(sectors: UInt64) {
    let total = min(sectors, Self.largest.sectors)
    var tracks: UInt64
    if total >= 65535 * 16 * 63 {
      sectorsPerTrack = 255
      heads = 16
      tracks = total / 255
    } else {
      sectorsPerTrack = 17
      tracks = total / 17
      heads = UInt8(clamping: max(4, (tracks + 1023) / 1024))
      if tracks >= UInt64(heads) * 1024 || heads > 16 {
        sectorsPerTrack = 31
        heads = 16
        tracks = total / 31
      }
      if tracks >= UInt64(heads) * 1024 {
        sectorsPerTrack = 63
        heads = 16
        tracks = total / 63
      }
    }
    cylinders = UInt16(clamping: tracks / UInt64(heads))
  }

  public static let largest = VHDGeometry(cylinders: 65535, heads: 16, sectorsPerTrack: 255)

  public var sectors: UInt64 { UInt64(cylinders) * UInt64(heads) * UInt64(sectorsPerTrack) }
}
