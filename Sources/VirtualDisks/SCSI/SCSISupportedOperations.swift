// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// Which commands a disk carries out, and which bits of each count: REPORT SUPPORTED OPERATION CODES (SPC-4, 6.34).
///
/// Linux asks before it uses commands that not every disk has: WRITE SAME, which its hv_storvsc rules out, or SECURITY
/// PROTOCOL IN.
enum SCSISupportedOperations {
  /// Service action of MAINTENANCE IN.
  static let serviceAction: UInt8 = 0x0C
  /// Bytes of a command timeouts descriptor, which says nothing of times here.
  private static let timeoutsByteCount = 12

  private struct Entry {
    let code: UInt8
    /// Whether the second byte says more about what the command is.
    let serviceAction: UInt16?
    /// The code, then a mask of what counts of each byte.
    let usage: [UInt8]
  }

  /// A command a line, in hexadecimal.
  private static let table = """
    00 00000000 00
    03 010000ff 00
    08 1fffffff 00
    0a 1fffffff 00
    12 01ffffff 00
    15 100000ff 00
    1a 08ffffff 00
    1b 010000f3 00
    1e 00000001 00
    25 00 00000000 0000 00 00
    28 18 ffffffff 00 ffff 00
    2a 18 ffffffff 00 ffff 00
    2f 12 ffffffff 00 ffff 00
    35 02 ffffffff 00 ffff 00
    41 08 ffffffff 00 ffff 00
    42 00 00000000 00 ffff 00
    55 10 00000000 00 ffff 00
    5a 18 ffff0000 00 ffff 00
    88 18 ffffffffffffffff ffffffff 00 00
    8a 18 ffffffffffffffff ffffffff 00 00
    8f 12 ffffffffffffffff ffffffff 00 00
    91 02 ffffffffffffffff ffffffff 00 00
    93 09 ffffffffffffffff ffffffff 00 00
    9e 10 0000000000000000 ffffffff 00 00
    a0 00 ff000000 ffffffff 00 00
    a3 0c 87ffffff ffffffff 00 00
    a8 18 ffffffff ffffffff 00 00
    aa 18 ffffffff ffffffff 00 00
    af 12 ffffffff ffffffff 00 00
    """

  private static let entries: [Entry] = table.split(separator: "\n").map { line in
    var usage: [UInt8] = []
    var high: UInt8?
    for digit in line.utf8 where digit != UInt8(ascii: " ") {
      let value = digit < UInt8(ascii: "a") ? digit - UInt8(ascii: "0") : digit - UInt8(ascii: "a") + 10
      if let first = high {
        usage.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    let operation = SCSIOperation(rawValue: usage[0])
    let hasAction = operation == .serviceActionIn16 || operation == .maintenanceIn
    return Entry(code: usage[0], serviceAction: hasAction ? UInt16(usage[1]) : nil, usage: usage)
  }

  /// `unmaps`: whether the disk takes UNMAP.
  static func report(_ command: SCSICommand, unmaps: Bool, into response: inout SCSIResponse) -> SCSIStep {
    let block = command.block
    guard block[1] & 0x1F == serviceAction else { return .invalidField }
    let hasTimeouts = block[2] & 0x80 != 0
    let supported = entries.filter { unmaps || $0.code != SCSIOperation.unmap.rawValue }
    let (code, action) = (block[3], block.uint16(at: 4))
    let found = supported.filter { $0.code == code }
    switch block[2] & 7 {
    case 0: all(supported, hasTimeouts, into: &response)
    // By its code alone, of a command without service actions.
    case 1:
      guard found.allSatisfy({ $0.serviceAction == nil }) else { return .invalidField }
      one(found.first, hasTimeouts, into: &response)
    // By both.
    case 2:
      guard found.allSatisfy({ $0.serviceAction != nil }) else { return .invalidField }
      one(found.first { $0.serviceAction == action }, hasTimeouts, into: &response)
    // Either way; without service actions the field must be 0.
    case 3: one(found.first { $0.serviceAction ?? 0 == action }, hasTimeouts, into: &response)
    default: return .invalidField
    }
    return response.sent(allocation: Int(clamping: block.uint32(at: 6)), command)
  }

  private static func all(_ entries: [Entry], _ hasTimeouts: Bool, into response: inout SCSIResponse) {
    response.append(UInt32(entries.count * (8 + (hasTimeouts ? timeoutsByteCount : 0))))
    for entry in entries {
      response.append(bytes: [entry.code, 0])
      response.append(entry.serviceAction ?? 0)
      // CTDP, SERVACTV.
      response.append(bytes: [0, (hasTimeouts ? 2 : 0) | (entry.serviceAction == nil ? 0 : 1)])
      response.append(UInt16(entry.usage.count))
      if hasTimeouts { appendTimeouts(into: &response) }
    }
  }

  /// Support 3: as the standard has it; 1: not at all.
  private static func one(_ entry: Entry?, _ hasTimeouts: Bool, into response: inout SCSIResponse) {
    guard let entry else { return response.append(bytes: [0, 1, 0, 0]) }
    response.append(bytes: [0, (hasTimeouts ? 0x80 : 0) | 3])
    response.append(UInt16(entry.usage.count))
    response.append(bytes: entry.usage)
    if hasTimeouts { appendTimeouts(into: &response) }
  }

  private static func appendTimeouts(into response: inout SCSIResponse) {
    response.append(UInt16(timeoutsByteCount - 2))
    response.append(zeros: timeoutsByteCount - 2)
  }
}
