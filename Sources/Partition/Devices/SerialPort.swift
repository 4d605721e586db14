// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import Synchronization

/// The shell around the UART: its interrupt line, and a bounded buffer between the processors, which must not wait, and
/// the sink, which may.
final class SerialPort: Sendable {
  /// The guest's transmitter is "busy" while this much waits for the sink.
  static let outputLimit = 64 << 10

  private struct State {
    var uart = UART16550()
    var output: [UInt8] = []
    var line = false
    var bytesOut: UInt64 = 0
  }

  private let state = Mutex(State())
  /// Signalled when output begins to wait.
  let outputReady: EventDescriptor
  private let virtualMachine: VirtualMachineDescriptor

  init(_ virtualMachine: VirtualMachineDescriptor) throws(PartitionError) {
    self.virtualMachine = virtualMachine
    outputReady = try EventDescriptor.forPartition()
  }

  var bytesOut: UInt64 { state.withLock { $0.bytesOut } }

  func read(_ offset: UInt16) -> UInt8 {
    state.withLock { state in
      let value = state.uart.read(offset)
      updateLine(&state)
      return value
    }
  }

  func write(_ offset: UInt16, _ value: UInt8) {
    let wake = state.withLock { state -> Bool in
      let byte = state.uart.write(offset, value)
      var wake = false
      if let byte {
        // A guest that ignores "busy" loses bytes, as on a wire.
        if state.output.count < Self.outputLimit {
          wake = state.output.isEmpty
          state.output.append(byte)
          state.bytesOut &+= 1
        }
        if state.output.count >= Self.outputLimit { state.uart.setTransmitterReady(false) }
      }
      updateLine(&state)
      return wake
    }
    if wake { outputReady.signal() }
  }

  func receive(_ bytes: [UInt8]) -> Int {
    state.withLock { state in
      let count = state.uart.receive(bytes)
      updateLine(&state)
      return count
    }
  }

  /// What waits for the sink, swapped against `buffer`: two buffers go round for ever.
  func takeOutput(_ buffer: inout [UInt8]) {
    buffer.removeAll(keepingCapacity: true)
    state.withLock { state in
      swap(&buffer, &state.output)
      state.uart.setTransmitterReady(true)
      updateLine(&state)
    }
  }

  func reset() {
    state.withLock { state in
      let ready = state.uart.transmitterReady
      state.uart = UART16550()
      state.uart.setTransmitterReady(ready)
      updateLine(&state)
    }
  }

  /// The interrupt controller gets edges; done under the lock, so that they arrive in order.
  private func updateLine(_ state: inout State) {
    let level = state.uart.interrupt
    guard level != state.line else { return }
    state.line = level
    virtualMachine.setInterruptLine(Interrupt.serial, level)
  }
}
