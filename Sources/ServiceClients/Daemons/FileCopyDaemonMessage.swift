// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Messages of the file copy daemon: as the host has them, with names in UTF-8; what the daemon writes is always one i32.
///
/// Layout: `hv_start_fcopy`, `hv_do_fcopy` and `hv_fcopy_hdr` in include/uapi/linux/hyperv.h of Linux 6.1.
public enum FileCopyDaemonMessage {
  /// The largest there is.
  public static let byteCount = FileCopyWrite.bodySize
  public static let replyByteCount = 4
  /// The driver's number, which answers a registration.
  private static let version: UInt32 = 1
  /// Bytes of a name, its NUL included.
  private static let textBytes = 520

  /// Answers a registration in `message` and returns its size, 0 for a daemon that wants no answer.
  @_lifetime(message: copy message)
  public static func register(_ bytes: RawSpan, answer message: inout MutableRawSpan) throws(DaemonFault) -> Int {
    let kind = try result(bytes).rawValue
    guard kind <= version else { throw .invalid }
    if kind == 0 { return 0 }
    do throws(WireError) { try message.write(version, at: 0) } catch { throw .invalid }
    return replyByteCount
  }

  /// Turns the host's step, which `packet` holds, into the daemon's; returns its size. Fails when a name does not fit as
  /// a whole: half a name would be another file's.
  @_lifetime(message: copy message)
  public static func encode(
    _ request: FileCopyClient.Request, from packet: RawSpan, into message: inout MutableRawSpan
  ) throws(WireError) -> Int {
    switch request {
    case .start(let nameOffset, let folderOffset, let flags, let size):
      for offset in 0..<FileCopyStart.bodySize / 8 { try message.write(UInt64(0), at: 8 &* offset) }
      try FileCopyStart(flags: flags, size: size).encode(into: &message)
      try name(packet, nameOffset, &message, FileCopyStart.nameOffset)
      try name(packet, folderOffset, &message, FileCopyStart.folderOffset)
      return FileCopyStart.bodySize
    case .write(let offset, let count, let dataOffset):
      try FileCopyWrite(offset: offset, count: UInt32(truncatingIfNeeded: count)).encode(into: &message)
      let data = try packet.slice(at: dataOffset, count: FileCopyWrite.dataCapacity)
      for index in 0..<FileCopyWrite.dataCapacity / 8 {
        let word = 8 &* index < count ? try data.read(UInt64.self, at: 8 &* index) : 0
        try message.write(word, at: FileCopyWrite.dataOffset &+ 8 &* index)
      }
      return FileCopyWrite.bodySize
    case .complete:
      try FileCopyHeader(operation: .complete).encode(into: &message)
      return FileCopyHeader.wireSize
    case .cancel:
      try FileCopyHeader(operation: .cancel).encode(into: &message)
      return FileCopyHeader.wireSize
    }
  }

  public static func result(_ reply: RawSpan) throws(DaemonFault) -> IntegrationStatus {
    guard reply.byteCount == replyByteCount else { throw .invalid }
    do throws(WireError) {
      return IntegrationStatus(rawValue: try reply.read(UInt32.self, at: 0))
    } catch {
      throw .invalid
    }
  }

  @_lifetime(message: copy message)
  private static func name(
    _ packet: RawSpan, _ offset: Int, _ message: inout MutableRawSpan, _ place: Int
  ) throws(WireError) {
    let units = 2 &* FileCopyStart.textUnits
    guard try WireText.utf8Size(of: packet, at: offset, byteCount: units) < textBytes else {
      throw .invalid(offset: offset)
    }
    _ = try WireText.utf8(from: packet, at: offset, byteCount: units, into: &message, at: place, room: textBytes &- 1)
  }
}
