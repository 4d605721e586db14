// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What a `BusClient` needs from the shell that owns it. A generic parameter, not an existential, since the kernel's
/// Embedded Swift has none.
public protocol BusClientSink: ~Copyable {
  /// Posts a message to the host: the post-message hypercall. The shell repeats it as long as the status is transient,
  /// for as long as it wants to; the status it returns is taken as final. Must not call the client.
  mutating func post(_ payload: borrowing MessageBuffer, to connection: ConnectionID) -> HypercallStatus

  /// Something happened. Must not call the client.
  mutating func handle(_ event: BusClientEvent)
}
