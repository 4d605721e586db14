// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// A section of the receive buffer, with a message of the host's in it or not. Plain bytes: a channel has a table of them.
struct NetworkSection: Sendable {
  enum State: UInt8, Sendable {
    case free
    /// Somebody fills it.
    case filling
    /// Waits for room in the ring.
    case waiting
    /// The guest has it.
    case sent
  }

  var state = State.free
  /// First section of a packet that the guest has: its number is the packet's transaction id.
  var isHead = false
  /// The next free one, or the next part of the same frame; -1 ends it.
  var next: Int32 = -1
  /// The next frame of the queue, then of the packet. In first sections of frames.
  var nextFrame: Int32 = -1
  /// Of the message in it.
  var byteCount: UInt32 = 0
}

/// Sections that belong to nobody.
struct NetworkSectionList: Sendable {
  var first: Int32 = -1
  var count = 0
}

/// What a packet of the guest ends with.
struct NetworkAnswer: Sendable {
  enum Kind: UInt8, Sendable {
    /// `NVSPPacketComplete`
    case packet
    /// Nothing but the transaction id.
    case empty
  }

  var transactionID: UInt64 = 0
  var status = NVSPStatus.success
  var kind = Kind.empty
}

/// An answer of the provider's, or a message of its own.
struct NetworkMessage: Sendable {
  /// nil: not an answer.
  var transactionID: UInt64?
  var message: NVSPMessage
}
