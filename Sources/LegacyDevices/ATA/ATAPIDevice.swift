// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VirtualDisks

/// A DVD drive as an ATA packet device: what it makes of ATA commands. What is in the packets is SCSI's, and the same
/// model as on the SCSI controller answers it.
struct ATAPIDevice: Sendable {
  static let packetBytes = 12
  /// Bytes that one read may ask for: as much as an ATA disk's largest command.
  private static let maximumTransferBytes: UInt32 = 32 << 20

  private(set) var dvd: SCSIDVD
  private(set) var transferMode: UInt8 = 0x42
  /// Why the last packet failed, until REQUEST SENSE or the next packet: there is no other way to learn it.
  private var sense: SenseData?
  /// The packet whose request is under way.
  private var task: SCSITask?

  init(_ characteristics: DriveCharacteristics) {
    dvd = SCSIDVD(characteristics, maximumTransferBytes: Self.maximumTransferBytes)
  }

  // MARK: from the host

  mutating func insert(byteCount: UInt64) { dvd.insert(byteCount: byteCount) }
  mutating func removeDisc() { dvd.removeDisc() }
  mutating func requestEject() -> Bool { dvd.requestEject() }

  // MARK: ATA commands

  mutating func plan(_ command: ATACommand, _ file: inout TaskFile) -> ATAPlan {
    switch command {
    case .packet: return .packet
    case .identifyPacketDevice: return .reply(identification())
    case .deviceReset: return .reset
    case .identifyDevice, .readSectors:
      // This is how a driver learns what it talks to.
      let signature = TaskFile.signature(isPacketDevice: true, unit: Int(file.device >> 4 & 1))
      file.count = signature.count
      file.low = signature.low
      file.middle = signature.middle
      file.high = signature.high
      return .fail(ATAError.aborted)
    case .setFeatures:
      guard file.features & 0xFF == 0x03 else { return .fail(ATAError.aborted) }
      let mode = UInt8(file.count & 0xFF)
      switch mode {
      case 0x00, 0x01, 0x08...0x0C: break
      case 0x20...0x22, 0x40...0x45: transferMode = mode
      default: return .fail(ATAError.aborted)
      }
      return .done
    case .checkPowerMode:
      file.count = 0xFF
      return .done
    case .standbyImmediate, .idleImmediate, .standby, .idle, .sleep, .flushCache: return .done
    default: return .fail(ATAError.aborted)
    }
  }

  // MARK: packets

  /// `packet` has 12 bytes. Whether it put the disc out comes beside its plan.
  mutating func begin(_ packet: [UInt8]) -> (plan: PacketPlan, ejects: Bool) {
    func word(_ start: Int) -> UInt64 {
      packet.dropFirst(start).prefix(8).enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64($1.offset * 8) }
    }
    let block = SCSICommandBlock(low: word(0), high: word(8), byteCount: Self.packetBytes)
    if block.operation == .requestSense, var sense {
      self.sense = nil
      sense.format = block[1] & 1 == 0 ? .fixed : .descriptors
      func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
      }
      let data = bytes(sense.low, 8) + bytes(sense.high, 8) + bytes(UInt64(sense.last), 4)
      return (.reply(Array(data.prefix(min(sense.byteCount, Int(block[4]))))), false)
    }
    sense = nil
    var response = SCSIResponse()
    // How much room the guest has, only its bus master's table knows.
    let step = dvd.begin(SCSICommand(block, bufferByteCount: .max), into: &response)
    if case .ejected(let outcome) = step { return (plan(outcome, response), true) }
    return (plan(step, response), false)
  }

  private mutating func plan(_ step: SCSIStep, _ response: SCSIResponse) -> PacketPlan {
    switch step {
    case .complete(let outcome), .ejected(let outcome): return plan(outcome, response)
    case .transfer(let request, let task):
      self.task = task
      return request.operation == .read ? .read(request) : .drive(request)
    // A read-only drive has no use for data.
    case .fetch: return fail(SenseData(.illegalRequest, .invalidOperation))
    }
  }

  private mutating func plan(_ outcome: SCSIOutcome, _ response: SCSIResponse) -> PacketPlan {
    guard outcome.status == .good, outcome.adapter == .answered else {
      return fail(outcome.sense ?? SenseData(.illegalRequest, .invalidFieldInCommand))
    }
    let bytes = response.bytes
    let count = min(Int(outcome.byteCount), bytes.byteCount)
    return .reply(unsafe bytes.withUnsafeBytes { buffer in unsafe Array(buffer.prefix(count)) })
  }

  private mutating func fail(_ sense: SenseData) -> PacketPlan {
    self.sense = sense
    return .failed(sense.key.rawValue)
  }

  /// A packet's request failed; returns the sense key.
  mutating func failed(_ failure: DriveFailure) -> UInt8 {
    var found = SenseData(.hardwareError, .internalFailure)
    if let task {
      self.task = nil
      if case .complete(let outcome) = task.finish(.failure(failure)), let sense = outcome.sense { found = sense }
    }
    sense = found
    return found.key.rawValue
  }

  private func identification() -> [UInt8] {
    var data = IdentifyData()
    data[0] = 0x85C0  // a CD-ROM with removable medium, packets of 12 bytes, taken within 50 µs
    data.put(dvd.characteristics.serialNumber, at: 10, count: 10)
    data.put("1.0", at: 23, count: 4)
    data.put("Virtual CD", at: 27, count: 20)
    data[48] = 0x0001
    data[49] = 0x0B00  // IORDY, LBA, DMA
    data[53] = 0x0006
    data.putTransferModes(transferMode)
    data[80] = 0x00F0
    data[82] = 0x0210  // packets, DEVICE RESET
    data[83] = 0x4000
    data[84] = 0x4000
    data[85] = 0x0210
    data[87] = 0x4000
    data[93] = 0x6001
    return data.bytes()
  }
}
