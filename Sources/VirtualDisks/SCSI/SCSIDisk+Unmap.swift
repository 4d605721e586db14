// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

extension SCSIDisk {
  /// Descriptors of one UNMAP, and blocks of all of them: VPD page B0h.
  static let maximumUnmapDescriptors = 64
  static let maximumUnmapBytes: UInt64 = 1 << 32

  var maximumUnmapSectors: UInt64 { Self.maximumUnmapBytes >> UInt64(geometry.sectorShift) }

  func unmap(_ command: SCSICommand) -> SCSIStep {
    let count = UInt32(command.block.uint16(at: 7))
    guard characteristics.discardGranularity != nil else { return .invalidOperation }
    // ANCHOR.
    guard command.block[1] & 1 == 0 else { return .invalidField }
    if geometry.isReadOnly { return .check(.dataProtect, .writeProtected) }
    if count == 0 { return .good }
    guard count >= 8 else { return .check(.illegalRequest, .parameterListLength) }
    guard count <= command.bufferByteCount else { return .complete(.invalid) }
    // Longer lists than the limit are refused by their header.
    let fetched = min(Int(count), 8 + 16 * Self.maximumUnmapDescriptors)
    return .fetch(byteCount: fetched, SCSITask(.unmap(listByteCount: count), sectorShift: geometry.sectorShift))
  }

  /// The list: u16 bytes that follow, u16 bytes of descriptors, 4 reserved; descriptors of u64 block, u32 count, 4
  /// reserved. All of them are checked before the first is carried out.
  func unmap(_ listByteCount: UInt32, _ list: RawSpan) -> SCSIStep {
    var requests: [DriveRequest] = []
    do throws(WireError) {
      let length = UInt32(try list.read(UInt16.self, at: 2).byteSwapped)
      guard length <= listByteCount - 8 else { return .check(.illegalRequest, .parameterListLength) }
      // An incomplete descriptor at the end is ignored (SBC-3 5.28.2).
      let descriptors = Int(length / 16)
      guard descriptors <= Self.maximumUnmapDescriptors else {
        return .check(.illegalRequest, .invalidFieldInParameters)
      }
      var total: UInt64 = 0
      for index in 0..<descriptors {
        let block = try list.read(UInt64.self, at: 8 + 16 * index).byteSwapped
        let count = UInt64(try list.read(UInt32.self, at: 16 + 16 * index).byteSwapped)
        guard contains(block, count) else { return outOfRange(block) }
        total += count
        guard total <= maximumUnmapSectors else { return .check(.illegalRequest, .invalidFieldInParameters) }
        if count == 0 { continue }
        let shift = UInt64(geometry.sectorShift)
        requests.append(DriveRequest(.discard, byteOffset: block << shift, byteCount: count << shift))
      }
    } catch {
      return .check(.illegalRequest, .parameterListLength)
    }
    guard let first = requests.first else { return .complete(.good(byteCount: listByteCount)) }
    var task = SCSITask(byteCount: listByteCount, sectorShift: geometry.sectorShift, byteOffset: first.byteOffset)
    if requests.count > 1 { task.remaining = requests.dropFirst() }
    return .transfer(first, task)
  }
}
