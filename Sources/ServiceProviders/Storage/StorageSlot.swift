// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// A packet between its arrival and its answer. Plain bytes: a channel has a table of them, allocated once.
struct StorageSlot: Sendable {
  enum State: UInt8, Sendable {
    case free
    /// A command, in the hands of the back end.
    case executing
    /// Handed to the provider, which has not answered yet.
    case asked
    /// The answer waits to be delivered.
    case answered
  }

  var state: State = .free
  /// Whether a reset waits for it.
  var isResetting = false
  /// Without it the packet ends silently.
  var wantsAnswer = false
  var isCommand = false
  /// The answer's body: nothing, or what the provider said.
  var body: Body = .none
  /// As long as the packet was: 64 bytes, or 48.
  var answerSize: UInt8 = 0
  /// The next slot of the free list or of the queue of answers; -1 ends it.
  var next: Int32 = -1
  /// Counts the slot's uses.
  var generation: UInt32 = 0
  var transactionID: UInt64 = 0
  var status = NTStatus(rawValue: 0)
  var block = SCSIRequestBlock()

  enum Body: Sendable {
    case none
    case version(StorageVersion)
    case properties(StorageProperties)
  }
}
