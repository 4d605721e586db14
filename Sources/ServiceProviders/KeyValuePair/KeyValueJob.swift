// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// One request of the owner and how far it has come.
struct KeyValueJob: Sendable {
  enum Kind: Sendable {
    case enumerate(KeyValuePool, limit: Int)
    case get(String, KeyValuePool)
    case set(KeyValueItem, KeyValuePool, KeyValueWriteMode)
    case delete(String, KeyValuePool)
    case addresses(macAddress: String)
    case setAddresses(AdapterConfiguration, adapter: GUID)
  }

  /// nil: an item of the host's own, which nobody waits for.
  let id: ServiceRequestID?
  let kind: Kind
  /// Enumerations: the index asked for last, and what came so far.
  var index: UInt32 = 0
  var items: [KeyValueItem] = []
  /// Modes add and modify: whether the key is there has been asked.
  var existenceKnown = false
}
