// SPDX-License-Identifier: Apache-2.0

import VMBus

/// Where the headers of a frame begin, as far as they can be told from its first bytes. Tags inside the frame are skipped.
public struct FrameLayout: Hashable, Sendable {
  public enum Network: UInt8, Hashable, Sendable {
    case other
    case ipv4
    case ipv6
  }

  public var network = Network.other
  /// Bytes in front of the IP header.
  public var networkOffset = 14
  /// Bytes in front of TCP, UDP or whatever follows; 0 when there is nothing that can be told, as in later fragments.
  public var transportOffset = 0
  /// IP's number of it: 6 TCP, 17 UDP.
  public var transport: UInt8 = 0
  /// The first or a later part of a datagram: it has no ports to rely on.
  public var isFragment = false
  /// IPv6 headers lie between the address header and the transport's.
  public var hasExtensions = false

  @inlinable public var isTCP: Bool { transport == 6 && transportOffset > 0 }
  @inlinable public var isUDP: Bool { transport == 17 && transportOffset > 0 }

  /// From the first bytes of a frame, 128 being enough for all that is usual.
  @inlinable
  public init(_ bytes: RawSpan) {
    do throws(WireError) {
      try read(bytes)
    } catch {
      transportOffset = 0
      transport = 0
    }
  }

  @inlinable
  mutating func read(_ bytes: RawSpan) throws(WireError) {
    var type = try bytes.read(UInt16.self, at: 12).byteSwapped
    var tags = 0
    while type == 0x8100 || type == 0x88A8, tags < 2 {
      networkOffset &+= 4
      tags &+= 1
      type = try bytes.read(UInt16.self, at: networkOffset &- 2).byteSwapped
    }
    switch type {
    case 0x0800:
      let first = try bytes.read(UInt8.self, at: networkOffset)
      let length = Int(first & 15) &* 4
      guard first &>> 4 == 4, length >= 20 else { return }
      network = .ipv4
      let fragment = try bytes.read(UInt16.self, at: networkOffset &+ 6).byteSwapped
      isFragment = fragment & 0x3FFF != 0
      if fragment & 0x1FFF != 0 { return }
      transport = try bytes.read(UInt8.self, at: networkOffset &+ 9)
      transportOffset = networkOffset &+ length
    case 0x86DD:
      guard try bytes.read(UInt8.self, at: networkOffset) &>> 4 == 6 else { return }
      network = .ipv6
      var next = try bytes.read(UInt8.self, at: networkOffset &+ 6)
      var at = networkOffset &+ 40
      var headers = 0
      // Hop-by-hop options, routing, destination options; fragment.
      while next == 0 || next == 43 || next == 60 || next == 44 {
        guard headers < 8 else { return }
        headers &+= 1
        hasExtensions = true
        let following = try bytes.read(UInt8.self, at: at)
        if next == 44 {
          isFragment = true
          if try bytes.read(UInt16.self, at: at &+ 2).byteSwapped & 0xFFF8 != 0 { return }
          at &+= 8
        } else {
          at &+= (Int(try bytes.read(UInt8.self, at: at &+ 1)) &+ 1) &* 8
        }
        next = following
      }
      transport = next
      transportOffset = at
    default: break
    }
  }

  /// The receive hash of the frame that this was made from; nil when nothing of it is to be hashed.
  @inlinable
  public func hash(_ bytes: RawSpan, _ key: borrowing ToeplitzKey, _ wanted: ReceiveHash) -> UInt32? {
    let addresses: Int
    switch network {
    case .other: return nil
    case .ipv4: addresses = 2
    case .ipv6: addresses = 8
    }
    let hasPorts = isTCP && !isFragment && (network == .ipv4 ? wanted.hasTCPIPv4 : wanted.hasTCPIPv6)
    guard hasPorts || (network == .ipv4 ? wanted.hasIPv4 : wanted.hasIPv6) else { return nil }
    do throws(WireError) {
      var hash: UInt32 = 0
      var at = networkOffset &+ (network == .ipv4 ? 12 : 8)
      for index in 0..<addresses {
        hash ^= key.hash(try bytes.read(UInt32.self, at: at).byteSwapped, at: index)
        at &+= 4
      }
      if hasPorts { hash ^= key.hash(try bytes.read(UInt32.self, at: transportOffset).byteSwapped, at: addresses) }
      return hash
    } catch {
      return nil
    }
  }
}
