// SPDX-License-Identifier: Apache-2.0

import VMBus

/// A GPADL as the server keeps it: its words while they arrive, its ranges once they are checked.
struct HostGPADL: Sendable {
  enum Content: Sendable {
    /// Fewer than `wordCount` have come.
    case collecting(words: [UInt64])
    case complete(GPADL)
  }

  var channel: ChannelID
  var rangeCount: Int
  /// 64-bit words of all ranges, as the header announced them; what it counts against the server's limit.
  var wordCount: Int
  var content: Content

  var complete: GPADL? {
    if case .complete(let gpadl) = content { gpadl } else { nil }
  }
}
