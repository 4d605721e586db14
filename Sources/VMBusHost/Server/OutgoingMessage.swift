// SPDX-License-Identifier: Apache-2.0

import VMBus

/// A message on its way to the guest's message slot.
public struct OutgoingMessage: Sendable {
  /// The processor in whose message page it goes.
  public var targetVP: VPIndex
  public var message: HostMessage

  /// The payload of the SynIC message.
  public var payload: MessageBuffer { message.encoded }
}
