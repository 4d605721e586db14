// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// One channel of a storage controller: the path that every request takes.
///
/// Owned by the thread that serves the channel's rings, which calls it without a lock. It knows nothing of the other
/// channels; what concerns the controller as a whole goes through `StorageProvider`. Nothing is allocated per request.
///
/// Requests are told apart by slots, not by the guest's transaction ids: those may repeat, and are echoed.
public struct StorageChannel: ~Copyable, Sendable {
  /// 0: the controller's first channel.
  public let index: UInt16
  public private(set) var counters = StorageCounters()
  /// Commands that the back end has.
  public private(set) var executing = 0
  let configuration: StorageConfiguration
  private let opening: UInt16
  /// Set when commands are allowed.
  var version: StorageVersion?
  var slots: [StorageSlot]
  private var free: Int32
  private var oldestAnswer: Int32 = -1
  private var newestAnswer: Int32 = -1
  /// Commands that a reset waits for.
  private var resetting = 0
  private var isResetting = false
  private var owesNotice = false

  init(index: UInt16, opening: UInt16, configuration: StorageConfiguration, version: StorageVersion?) {
    precondition(configuration.slotsPerChannel > 0 && configuration.slotsPerChannel <= 65536)
    self.index = index
    self.opening = opening
    self.configuration = configuration
    self.version = version
    slots = Array(repeating: StorageSlot(), count: configuration.slotsPerChannel)
    for index in slots.indices.dropLast() { slots[index].next = Int32(index + 1) }
    free = 0
  }

  /// Whether a packet may be read. False: every slot is taken; read on when an answer has been delivered.
  public var canReceive: Bool { free >= 0 }
  /// Whether something waits to be delivered.
  public var hasAnswers: Bool { oldestAnswer >= 0 || owesNotice }

  // MARK: From the guest

  /// Takes the next packet of the guest's ring. Only while `canReceive`.
  public mutating func receive(_ packet: Packet, in bytes: RawSpan) -> StorageArrival {
    // Completions would answer requests of the host, which makes none.
    if packet.type == .completion {
      counters.malformed &+= 1
      return .settled
    }
    let slot = takeSlot(packet)
    guard packet.type == .inBand || packet.type == .gpaDirect else { return refuse(slot, .invalidParameter) }
    do throws(WireError) {
      let payload = try packet.payload(in: bytes)
      if payload.byteCount >= StorageHeader.packetSize { slots[slot].answerSize = UInt8(StorageHeader.packetSize) }
      let header = try StorageHeader(decoding: payload)
      if header.operation == .execute { return try execute(slot, packet, payload, bytes) }
      guard let demand = try Self.demand(header.operation, payload) else { return refuse(slot, .invalidParameter) }
      slots[slot].state = .asked
      return .control(StorageControl(id: id(of: slot), demand: demand))
    } catch {
      return refuse(slot, .invalidParameter)
    }
  }

  private static func demand(
    _ operation: StorageOperation, _ payload: RawSpan
  ) throws(WireError) -> StorageControl.Demand? {
    switch operation {
    case .beginInitialization: .beginInitialization
    case .endInitialization: .endInitialization
    case .queryVersion: .queryVersion(try StorageVersion(decodingBodyOf: payload))
    case .queryProperties: .queryProperties
    case .createSubChannels: .createSubChannels(try payload.read(UInt16.self, at: StorageHeader.wireSize))
    case .resetBus, .resetAdapter: .reset(.controller)
    case .resetUnit: .reset(.unit(try payload.read(UInt8.self, at: 19)))
    default: nil
    }
  }

  private mutating func execute(
    _ slot: Int, _ packet: Packet, _ payload: RawSpan, _ bytes: RawSpan
  ) throws(WireError) -> StorageArrival {
    guard let version else {
      counters.refused &+= 1
      return settle(slot, .invalidDeviceState)
    }
    let block = try SCSIRequestBlock(decodingBodyOf: payload, version: version)
    slots[slot].block = block
    slots[slot].isCommand = true
    guard block.commandLength <= 16 else { return reject(slot) }
    var ranges: GPADirectRanges?
    var byteCount: UInt32 = 0
    if packet.type == .gpaDirect {
      do throws(RingError) {
        let memory = try GPADirectRanges(packet, in: bytes)
        byteCount = UInt32(truncatingIfNeeded: min(memory.byteCount, UInt64(block.dataLength)))
        ranges = memory
      } catch {
        return reject(slot)
      }
    }
    guard byteCount <= configuration.maximumTransferBytes else { return reject(slot) }
    slots[slot].state = .executing
    executing += 1
    counters.commands &+= 1
    return .command(
      StorageRequest(
        id: id(of: slot), unit: unit(of: block), command: block.command, direction: block.direction,
        byteCount: byteCount, ranges: byteCount == 0 ? nil : ranges))
  }

  /// The unit's number when the address is on this controller's only target.
  private func unit(of block: SCSIRequestBlock) -> UInt8? {
    switch configuration.controller {
    case .scsi: return block.path == 0 && block.target == 0 ? block.unit : nil
    // Linux says path 0; Hyper-V's offer names the channel as the path.
    case .ide(let channel, let device):
      return (block.path == 0 || block.path == channel) && block.target == device ? block.unit : nil
    }
  }

  // MARK: To the guest

  /// Ends a command. Its data are in the guest's memory, and nothing touches that memory any more.
  public mutating func complete(_ id: StorageRequestID, _ outcome: SCSIOutcome) {
    let slot = id.slot
    precondition(has(id, .executing), "a command ended twice, or one that never began")
    executing -= 1
    counters.completions &+= 1
    if slots[slot].isResetting {
      slots[slot].isResetting = false
      resetting -= 1
    }
    slots[slot].block.end(outcome)
    queueAnswer(slot)
  }

  /// Ends what was handed to the provider.
  public mutating func answer(_ id: StorageRequestID, _ status: NTStatus) { answer(id, status, .none) }

  mutating func answer(_ id: StorageRequestID, _ status: NTStatus, _ body: StorageSlot.Body) {
    let slot = id.slot
    // A reset's answer can come after its channel was closed and opened again.
    guard has(id, .asked) else { return }
    slots[slot].status = status
    slots[slot].body = body
    queueAnswer(slot)
  }

  /// The guest is to look which units are there. Asked for often, it is said once.
  public mutating func unitsChanged() { owesNotice = version != nil && index == 0 }

  /// The oldest answer that waits; false: none does. It stays until `removeAnswer`.
  public mutating func nextAnswer(into answer: inout StorageAnswer) -> Bool {
    while oldestAnswer >= 0 {
      let slot = Int(oldestAnswer)
      if slots[slot].wantsAnswer {
        encode(slot, into: &answer)
        return true
      }
      removeAnswer()
    }
    guard owesNotice else { return false }
    answer.type = .inBand
    answer.transactionID = 0
    answer.byteCount = StorageHeader.packetSize
    answer.write { (packet: inout MutableRawSpan) throws(WireError) in
      try StorageHeader(operation: .enumerateBus).encode(into: &packet)
    }
    return true
  }

  /// The oldest answer is in the ring.
  public mutating func removeAnswer() {
    guard oldestAnswer >= 0 else {
      owesNotice = false
      return
    }
    let slot = Int(oldestAnswer)
    oldestAnswer = slots[slot].next
    if oldestAnswer < 0 { newestAnswer = -1 }
    freeSlot(slot)
  }

  private func encode(_ slot: Int, into answer: inout StorageAnswer) {
    answer.type = .completion
    answer.transactionID = slots[slot].transactionID
    answer.byteCount = Int(slots[slot].answerSize)
    answer.write { (packet: inout MutableRawSpan) throws(WireError) in
      try StorageHeader(operation: .completion, status: slots[slot].status).encode(into: &packet)
      if slots[slot].isCommand {
        try slots[slot].block.encode(intoBodyOf: &packet, version: version ?? .v6_2)
        return
      }
      switch slots[slot].body {
      case .none: break
      case .version(let version): try version.encode(intoBodyOf: &packet)
      case .properties(let properties): try properties.encode(intoBodyOf: &packet)
      }
    }
  }

  public mutating func countBlocked() { counters.blocked &+= 1 }

  // MARK: Reset and end

  /// A reset begins: every command in scope that the back end has now is to be given up, and counts until it is
  /// completed. Give up what can be given up; the rest ends as it ends.
  public mutating func beginReset(_ scope: StorageScope) -> [StorageRequestID] {
    isResetting = true
    var found: [StorageRequestID] = []
    for slot in slots.indices where slots[slot].state == .executing && !slots[slot].isResetting {
      if case .unit(let number) = scope, unit(of: slots[slot].block) != number { continue }
      slots[slot].isResetting = true
      resetting += 1
      found.append(id(of: slot))
    }
    return found
  }

  /// True, once, when nothing is left that the reset waits for: look after `beginReset` and after completions.
  public mutating func takeDrained() -> Bool {
    guard isResetting, resetting == 0 else { return false }
    isResetting = false
    return true
  }

  /// Every command that the back end has, for whoever closes the channel or takes a unit away.
  public func requests(in scope: StorageScope) -> [StorageRequestID] {
    slots.indices.compactMap { slot in
      guard slots[slot].state == .executing else { return nil }
      if case .unit(let number) = scope, unit(of: slots[slot].block) != number { return nil }
      return id(of: slot)
    }
  }

  // MARK: Slots

  private func id(of slot: Int) -> StorageRequestID {
    StorageRequestID(slot: slot, opening: opening, generation: slots[slot].generation)
  }

  private func has(_ id: StorageRequestID, _ state: StorageSlot.State) -> Bool {
    id.opening == opening && id.slot < slots.count && slots[id.slot].generation == id.generation
      && slots[id.slot].state == state
  }

  private mutating func takeSlot(_ packet: Packet) -> Int {
    precondition(free >= 0, "a packet was read while every slot was taken")
    let slot = Int(free)
    free = slots[slot].next
    slots[slot].generation &+= 1
    slots[slot].next = -1
    slots[slot].wantsAnswer = packet.completionRequested
    slots[slot].isCommand = false
    slots[slot].body = .none
    slots[slot].answerSize = UInt8(StorageHeader.oldPacketSize)
    slots[slot].transactionID = packet.transactionID
    slots[slot].status = .success
    return slot
  }

  private mutating func freeSlot(_ slot: Int) {
    slots[slot].state = .free
    slots[slot].next = free
    free = Int32(truncatingIfNeeded: slot)
  }

  private mutating func queueAnswer(_ slot: Int) {
    let number = Int32(truncatingIfNeeded: slot)
    slots[slot].state = .answered
    slots[slot].next = -1
    if newestAnswer >= 0 { slots[Int(newestAnswer)].next = number } else { oldestAnswer = number }
    newestAnswer = number
  }

  private mutating func refuse(_ slot: Int, _ status: NTStatus) -> StorageArrival {
    counters.malformed &+= 1
    return settle(slot, status)
  }

  /// A command that is not one: the adapter says so.
  private mutating func reject(_ slot: Int) -> StorageArrival {
    slots[slot].block.end(.invalid)
    return refuse(slot, .invalidParameter)
  }

  private mutating func settle(_ slot: Int, _ status: NTStatus) -> StorageArrival {
    slots[slot].status = status
    queueAnswer(slot)
    return .settled
  }

  mutating func countRefusal() { counters.refused &+= 1 }
}
