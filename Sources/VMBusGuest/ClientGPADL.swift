// SPDX-License-Identifier: Apache-2.0

import VMBus

/// A GPADL as the client keeps it. The memory itself is the shell's.
struct ClientGPADL: Sendable {
  enum State: Equatable, Sendable {
    case free
    /// All messages are posted, the answer is still to come.
    case creating
    case created
    case tearingDown
    /// The channel was rescinded before the answer came; a late answer is no mistake of the host's. The place is
    /// kept until the channel is released, since until then the host may use the memory.
    case abandoned
  }

  var id: GPADLID
  var channel: ChannelID
  var state: State

  static var free: ClientGPADL { ClientGPADL(id: GPADLID(0), channel: ChannelID(0), state: .free) }
}
