// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// What came of a frame for the guest.
public enum EthernetReception: Equatable, Sendable {
  case received
  /// The driver's filter has refused it.
  case unwanted
  /// No descriptors, or too few.
  case noRoom
  /// The driver has not started the receiver.
  case notReady
}

extension EthernetController {
  private enum Bit {
    static let failedFilter: UInt32 = 1 << 30
    static let group: UInt32 = 1 << 10
    static let first: UInt32 = 1 << 9
    static let last: UInt32 = 1 << 8
    static let long: UInt32 = 1 << 7
    /// A type, not a length, behind the addresses.
    static let typed: UInt32 = 1 << 5
  }

  /// Enough for the longest frame in buffers of 16 bytes, two for each descriptor.
  static let descriptorsPerFrame = 48

  /// Copies a frame into the guest's buffers, padded to what a wire carries at least, with four zeros where a checksum
  /// would be. All descriptors are looked at before the first one is changed, so that no frame ends in its middle.
  ///
  /// `keeps`: whoever brings the frame keeps it when there is no room. It is not counted as missed then.
  public mutating func receive(
    _ bytes: [UInt8], memory: some DeviceMemory, keeps: Bool = false
  ) -> EthernetReception {
    guard receiving != .stopped, mayMasterBus, !hasFailed else { return .notReady }
    guard bytes.count >= 14, bytes.count <= Self.largestFrame else { return .unwanted }
    let target = EthernetAddress(rawValue: bytes[..<6].reduce(0) { $0 << 8 | UInt64($1) })
    guard let flags = accept(target) else { return .unwanted }
    let length = max(bytes.count, Self.smallestFrame) + Self.checksumBytes
    let list: [EthernetDescriptor]
    switch room(for: length, memory) {
    case .found(let descriptors): list = descriptors
    case .tooLittle:
      if !keeps { missedFrames = min(missedFrames + 1, 0x1_0000) }
      receiving = .withoutRoom
      status.insert(.noRoom)
      return .noRoom
    case .outsideMemory:
      fail()
      return .notReady
    }
    var done = 0
    for descriptor in list {
      for (address, room) in [
        (descriptor.first, descriptor.firstByteCount & ~3), (descriptor.second, descriptor.secondByteCount & ~3),
      ] {
        let count = min(room, length - done)
        guard count > 0 else { continue }
        guard write(bytes, done..<done + count, to: address, memory) else {
          fail()
          return .notReady
        }
        done += count
      }
    }
    var word = flags | UInt32(length) << 16 | Bit.last
    if length > Self.largestFrame { word |= Bit.long }
    if UInt16(bytes[12]) << 8 | UInt16(bytes[13]) > 1500 { word |= Bit.typed }
    for (index, descriptor) in list.enumerated() {
      let result = (index == list.count - 1 ? word : 0) | (index == 0 ? Bit.first : 0)
      guard memory.store(result, at: descriptor.position) else {
        fail()
        return .notReady
      }
    }
    if let last = list.last { receivePosition = last.next(base: registers[3], skip: descriptorSkip) }
    receiving = .waiting
    status.insert(.received)
    return .received
  }

  /// Whether a frame of as many bytes would find room now, or be refused for another reason. Changes nothing.
  public func hasRoom(for byteCount: Int, memory: some DeviceMemory) -> Bool {
    guard receiving != .stopped, mayMasterBus, !hasFailed else { return true }
    if case .tooLittle = room(for: max(byteCount, Self.smallestFrame) + Self.checksumBytes, memory) { return false }
    return true
  }

  /// Bits for the status of a frame that the driver wants.
  private func accept(_ target: EthernetAddress) -> UInt32? {
    let isMatch = filter.matches(target)
    let group = target.isMulticast ? Bit.group : 0
    if isMatch { return group }
    if mode.contains(.promiscuous) || mode.contains(.receivesAll) { return group | Bit.failedFilter }
    return mode.contains(.allGroups) && target.isMulticast ? group : nil
  }

  private enum Room {
    case found([EthernetDescriptor])
    /// Not all of the descriptors are the controller's.
    case tooLittle
    case outsideMemory
  }

  /// The next descriptors, with room for `length` bytes.
  private func room(for length: Int, _ memory: some DeviceMemory) -> Room {
    var list: [EthernetDescriptor] = []
    var found = 0
    var position = receivePosition
    while found < length {
      guard list.count < Self.descriptorsPerFrame, !list.contains(where: { $0.position == position }) else {
        return .tooLittle
      }
      guard let word = memory.load(position) else { return .outsideMemory }
      guard word & EthernetDescriptor.owned != 0 else { return .tooLittle }
      guard let descriptor = EthernetDescriptor(at: position, memory: memory) else { return .outsideMemory }
      found += descriptor.firstByteCount & ~3
      found += descriptor.secondByteCount & ~3
      list.append(descriptor)
      position = descriptor.next(base: registers[3], skip: descriptorSkip)
    }
    return .found(list)
  }

  /// A part of the frame; what lies behind its end are zeros.
  private func write(
    _ bytes: [UInt8], _ range: Range<Int>, to address: UInt32, _ memory: some DeviceMemory
  ) -> Bool {
    if range.upperBound <= bytes.count {
      return unsafe bytes.withUnsafeBytes {
        unsafe memory.write(address, from: UnsafeRawBufferPointer(rebasing: $0[range]))
      }
    }
    var part = Array(bytes[min(range.lowerBound, bytes.count)...])
    part.append(contentsOf: repeatElement(0, count: range.count - part.count))
    return unsafe part.withUnsafeBytes { unsafe memory.write(address, from: $0) }
  }
}
