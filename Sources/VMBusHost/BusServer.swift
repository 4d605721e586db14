// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The host's end of the VMBus: a value without threads, clocks or I/O. Its owner calls it under one lock, carries the
/// effects out, and moves `nextMessage` into the guest's message slot whenever that is free.
public struct BusServer: Sendable {
  public let maximumVersion: ProtocolVersion
  public let processorCount: Int

  /// `guestFrames`: the page frame numbers that are guest memory; a GPADL must stay inside them.
  public init(
    maximumVersion: ProtocolVersion = .v5_3, processorCount: Int, guestFrames: [Range<UInt64>]
  ) {
    self.maximumVersion = maximumVersion
    self.processorCount = processorCount
  }

  // MARK: The owner's side

  /// Adds a channel. A connected guest hears of it at once, unless a rescinded channel of the same identity is still
  /// to be released: then as soon as it is.
  public mutating func offer(_ description: OfferDescription) throws(BusServerError) -> ChannelID {
    throw .noChannelNumber
  }

  /// Takes a channel away. An open one is closed at once.
  public mutating func rescind(_ channel: ChannelID, effects: inout [BusServerEffect]) throws(BusServerError) {}

  /// The machine was reset: the guest is gone without a word. Primary offers stay.
  public mutating func reset(effects: inout [BusServerEffect]) {}

  /// The end of an `openChannel` effect.
  public mutating func openCompleted(_ ticket: OpenTicket, success: Bool) {}

  // MARK: The guest's side

  /// A post-message hypercall: the payload is a private copy. The result is the status of the hypercall.
  public mutating func receive(
    connection: ConnectionID, payload: RawSpan, effects: inout [BusServerEffect]
  ) -> HypercallStatus { .success }

  /// The oldest message for the guest. It stays until `removeFirstMessage`.
  public func nextMessage() -> OutgoingMessage? { nil }

  /// The message slot has taken what `nextMessage` gave.
  public mutating func removeFirstMessage() {}

  /// The open channel that a signal-event hypercall on `connection` means.
  public func openChannel(signalledOn connection: ConnectionID) -> ChannelID? { nil }

  // MARK: To look at

  /// `nil`: no guest is connected.
  public var version: ProtocolVersion? { nil }
  public var channels: [ChannelSummary] { [] }
  /// Complete and not torn down.
  public func gpadl(_ id: GPADLID, on channel: ChannelID) -> GPADL? { nil }
  /// How often each refusal happened.
  public func count(of refusal: BusRefusal) -> UInt64 { 0 }
}
