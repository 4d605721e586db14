// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Messages of the snapshot daemon. Layout: `hv_vss_msg` in include/uapi/linux/hyperv.h of Linux 6.1: operation u8, seven
/// bytes that nobody uses, flags u32. A reply has its result, a u32, in place of the first four bytes.
public enum SnapshotDaemonMessage {
  public static let byteCount = 12
  /// The answer to a registration: the driver's own number, a u32.
  public static let greetingByteCount = 4

  /// The registrations: the second of them is answered.
  private static let oldRegistration: UInt8 = 128
  private static let registration: UInt8 = 129

  public static func isRegistration(_ bytes: RawSpan) throws(DaemonFault) -> Bool {
    let kind = try kind(bytes)
    return kind == oldRegistration || kind == registration
  }

  /// Answers a registration in `message`. False: this daemon wants no answer.
  @_lifetime(message: copy message)
  public static func register(_ bytes: RawSpan, answer message: inout MutableRawSpan) throws(DaemonFault) -> Bool {
    guard try kind(bytes) == registration else { return false }
    do throws(WireError) { try message.write(UInt32(registration), at: 0) } catch { throw .invalid }
    return true
  }

  @_lifetime(message: copy message)
  public static func encode(_ operation: SnapshotOperation, into message: inout MutableRawSpan) throws(WireError) {
    try SnapshotMessage(operation: operation).encode(into: &message)
  }

  public static func result(_ reply: RawSpan) throws(DaemonFault) -> IntegrationStatus {
    _ = try kind(reply)
    do throws(WireError) {
      return IntegrationStatus(rawValue: try reply.read(UInt32.self, at: 0))
    } catch {
      throw .invalid
    }
  }

  private static func kind(_ bytes: RawSpan) throws(DaemonFault) -> UInt8 {
    guard bytes.byteCount == byteCount else { throw .invalid }
    do throws(WireError) { return try bytes.read(UInt8.self, at: 0) } catch { throw .invalid }
  }
}
