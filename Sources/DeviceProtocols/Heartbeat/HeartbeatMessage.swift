// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The body of a heartbeat: a sequence number, which the guest answers plus one, and 32 reserved bytes.
///
/// Layout: `heartbeat_msg_data` in include/linux/hyperv.h of Linux 6.1. The same in versions 1.0 and 3.0.
public struct HeartbeatMessage: Hashable, Sendable {
  public static let bodySize = 40
  /// Offset 0 of the body.
  public var sequence: UInt64

  public init(sequence: UInt64) {
    self.sequence = sequence
  }

  /// The reserved part may be missing: Linux does not ask for it either.
  public init(decoding body: RawSpan) throws(WireError) {
    sequence = try body.read(UInt64.self, at: 0)
  }

  @_lifetime(body: copy body)
  public func encode(into body: inout MutableRawSpan) throws(WireError) {
    try body.write(sequence, at: 0)
    for offset in 0..<4 {
      try body.write(UInt64(0), at: 8 &+ 8 &* offset)
    }
  }
}
