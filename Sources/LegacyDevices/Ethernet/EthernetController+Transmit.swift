// SPDX-License-Identifier: Apache-2.0

/// What came of a look at the descriptors for sending.
public enum EthernetTransmission: Equatable, Sendable {
  /// `sentFrame` is to be sent, or, `isLooped`, received. There may be more.
  case frame(isLooped: Bool)
  /// As many descriptors as one call looks at were used up without a frame: call again.
  case unfinished
  /// Nothing, until `hasWork` again.
  case idle
}

extension EthernetController {
  private enum Bit {
    static let interrupts: UInt32 = 1 << 31
    static let last: UInt32 = 1 << 30
    static let first: UInt32 = 1 << 29
    static let inverse: UInt32 = 1 << 28
    static let setup: UInt32 = 1 << 27
    static let withoutChecksum: UInt32 = 1 << 26
    static let hashes: UInt32 = 1 << 22
    // In the first word, when it goes back.
    static let error: UInt32 = 1 << 15
    static let jabber: UInt32 = 1 << 14
    /// The rest of the first word after a setup frame.
    static let setupDone: UInt32 = 0x7FFF_FFFF
  }

  /// A guest can fill its memory with descriptors that send nothing.
  static let descriptorsPerCall = 128

  /// The frame that `transmit` has found.
  public var sentFrame: ArraySlice<UInt8> { frame[..<sentByteCount] }

  /// Takes descriptors up to the end of the next frame. Each goes back to the driver as soon as its bytes were copied.
  public mutating func transmit(memory: some DeviceMemory) -> EthernetTransmission {
    guard hasWork else { return .idle }
    for _ in 0..<Self.descriptorsPerCall {
      guard let word = memory.load(transmitPosition) else {
        fail()
        return .idle
      }
      guard word & EthernetDescriptor.owned != 0 else {
        transmitting = .suspended
        status.insert(.noFrameToSend)
        return .idle
      }
      guard let descriptor = EthernetDescriptor(at: transmitPosition, memory: memory),
        let result = take(descriptor, memory), memory.store(result.word, at: descriptor.position)
      else {
        fail()
        return .idle
      }
      transmitPosition = descriptor.next(base: registers[4], skip: descriptorSkip)
      let control = descriptor.control
      if control & Bit.interrupts != 0, control & (Bit.last | Bit.setup) != 0 { status.insert(.transmitted) }
      if result.isFrame { return .frame(isLooped: !mode.isDisjoint(with: .loopback)) }
    }
    return .unfinished
  }

  /// The first word as it goes back, and whether a frame is complete. nil: a buffer is not memory.
  private mutating func take(
    _ descriptor: EthernetDescriptor, _ memory: some DeviceMemory
  ) -> (word: UInt32, isFrame: Bool)? {
    let control = descriptor.control
    if control & Bit.setup != 0 {
      guard loadFilter(descriptor, memory) else { return nil }
      return (Bit.setupDone, false)
    }
    if control & Bit.first != 0 {
      frameByteCount = 0
      isOverlong = false
    }
    guard let begun = frameByteCount else { return (0, false) }
    var count = begun
    for (address, length) in [
      (descriptor.first, descriptor.firstByteCount), (descriptor.second, descriptor.secondByteCount),
    ] where length > 0 {
      guard count + length <= frame.count else {
        isOverlong = true
        continue
      }
      let range = count..<count + length
      let isMemory = unsafe frame.withUnsafeMutableBytes { bytes in
        unsafe memory.read(address, into: UnsafeMutableRawBufferPointer(rebasing: bytes[range]))
      }
      guard isMemory else { return nil }
      count += length
    }
    frameByteCount = count
    guard control & Bit.last != 0 else { return (0, false) }
    return finish(count, control)
  }

  /// The end of a frame's last buffer.
  private mutating func finish(_ byteCount: Int, _ control: UInt32) -> (word: UInt32, isFrame: Bool) {
    frameByteCount = nil
    // Its checksum is the driver's own: nobody behind the switch wants one.
    let count = control & Bit.withoutChecksum != 0 ? byteCount - Self.checksumBytes : byteCount
    guard !isOverlong, count <= Self.largestFrame else {
      status.insert(.jabber)
      return (Bit.error | Bit.jabber, false)
    }
    // Not even addresses and type: the wire would not carry that either.
    guard count >= 14 else { return (0, false) }
    // Not padded: no wire follows that needs it, and user-mode networks take what is behind a packet for data.
    sentByteCount = count
    return (0, true)
  }

  /// false: the buffer is not memory.
  private mutating func loadFilter(
    _ descriptor: EthernetDescriptor, _ memory: some DeviceMemory
  ) -> Bool {
    // A shorter one says nothing.
    guard descriptor.firstByteCount == AddressFilter.setupByteCount else { return true }
    var setup = [UInt8](repeating: 0, count: AddressFilter.setupByteCount)
    guard unsafe setup.withUnsafeMutableBytes({ unsafe memory.read(descriptor.first, into: $0) }) else { return false }
    filter = AddressFilter(
      setup: setup, hashes: descriptor.control & Bit.hashes != 0, inverse: descriptor.control & Bit.inverse != 0)
    return true
  }
}
