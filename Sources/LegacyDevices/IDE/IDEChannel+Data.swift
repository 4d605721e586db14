// SPDX-License-Identifier: Apache-2.0

extension IDEChannel {
  /// The data port, one run. What is beyond the end of a block reads as zeros.
  mutating func readData(into bytes: inout MutableRawSpan, _ effects: inout [IDEEffect]) {
    let wanted = bytes.byteCount
    let unit = selected
    var given = 0
    if units[unit].phase == .dataIn {
      given = min(wanted, units[unit].buffer.count - units[unit].position)
      let position = units[unit].position
      unsafe bytes.withUnsafeMutableBytes { target in
        unsafe units[unit].buffer.withUnsafeBytes { source in
          unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[position..<position + given]))
        }
      }
      units[unit].position += given
    }
    unsafe bytes.withUnsafeMutableBytes { target in
      for index in given..<wanted { unsafe target[index] = 0 }
    }
    guard given > 0, units[unit].position == units[unit].buffer.count else { return }
    blockWasRead(unit, &effects)
    updateLine(&effects)
  }

  private mutating func blockWasRead(_ unit: Int, _ effects: inout [IDEEffect]) {
    switch units[unit].job {
    case .transfer(var transfer):
      transfer.advance()
      if transfer.remaining > 0 {
        step(transfer, unit, isFirst: false, &effects)
      } else {
        units[unit].end(interrupts: false)
      }
    case .packet(let transfer): packetStep(transfer, unit, &effects)
    default: units[unit].end(interrupts: false)
    }
  }

  /// The data port, one run. What goes beyond the end of a block is dropped.
  mutating func writeData(from bytes: RawSpan, _ effects: inout [IDEEffect]) {
    let unit = selected
    guard units[unit].phase == .dataOut else { return }
    let taken = min(bytes.byteCount, units[unit].expected - units[unit].buffer.count)
    unsafe bytes.withUnsafeBytes { source in
      unsafe units[unit].buffer.append(contentsOf: source.prefix(taken))
    }
    guard units[unit].buffer.count == units[unit].expected else { return }
    let block = units[unit].buffer
    units[unit].buffer = []
    switch units[unit].job {
    case .transfer(let transfer): start(.write(transfer.request, block), unit, &effects)
    case .packetCommand: beginPacket(block, unit, &effects)
    default: units[unit].end(status: ATAStatus.error, error: ATAError.aborted)
    }
    updateLine(&effects)
  }
}
