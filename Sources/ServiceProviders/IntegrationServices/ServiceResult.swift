// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// What a request that succeeded brought.
public enum ServiceResult: Hashable, Sendable {
  case done
  /// The guest agreed to shut down or restart; it has not yet.
  case shutdownAccepted
  case items([KeyValueItem])
  case item(KeyValueItem)
  case adapterConfiguration(AdapterConfiguration)
  /// Bytes copied.
  case copied(UInt64)
  /// The guest can be frozen; flags as the guest gave them (Linux: 5, no auto recovery).
  case hotBackup(flags: UInt32)
  /// Frozen; the host thaws by itself after this time.
  case frozen(heldAtMostMilliseconds: UInt64)
}
