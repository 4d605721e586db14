// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Partition
import Synchronization

/// The guest's serial output on its way to all who read it: the console's clients, and a file or terminal.
final class SerialFan: SerialSink {
  private let console: ConsoleHub
  private let other: (any SerialSink)?

  init(console: ConsoleHub, other: (any SerialSink)?) {
    self.console = console
    self.other = other
  }

  func serialOutput(_ bytes: UnsafeRawBufferPointer) {
    console.publish(unsafe [UInt8](bytes))
    unsafe other?.serialOutput(bytes)
  }
}

/// What clients type, on its way to a partition that is made later.
final class SerialInput: Sendable {
  private let partition = AtomicLazyReference<Partition>()

  func connect(_ partition: Partition) { _ = self.partition.storeIfNil(partition) }

  /// What does not fit into the port's receive queue is lost, as on a real line without flow control.
  func type(_ bytes: [UInt8]) { partition.load()?.serialInput(bytes) }
}
