// SPDX-License-Identifier: Apache-2.0

/// The first word of every RNDIS message. Bit 31 marks answers.
public struct RNDISMessageType: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static var packet: Self { Self(rawValue: 1) }
  @inlinable public static var initialize: Self { Self(rawValue: 2) }
  @inlinable public static var halt: Self { Self(rawValue: 3) }
  @inlinable public static var query: Self { Self(rawValue: 4) }
  @inlinable public static var set: Self { Self(rawValue: 5) }
  @inlinable public static var reset: Self { Self(rawValue: 6) }
  @inlinable public static var indicate: Self { Self(rawValue: 7) }
  @inlinable public static var keepAlive: Self { Self(rawValue: 8) }
  @inlinable public static var initializeComplete: Self { Self(rawValue: 0x8000_0002) }
  @inlinable public static var queryComplete: Self { Self(rawValue: 0x8000_0004) }
  @inlinable public static var setComplete: Self { Self(rawValue: 0x8000_0005) }
  @inlinable public static var resetComplete: Self { Self(rawValue: 0x8000_0006) }
  @inlinable public static var keepAliveComplete: Self { Self(rawValue: 0x8000_0008) }
}

/// How an RNDIS request ended, or what an indication says.
public struct RNDISStatus: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static var success: Self { Self(rawValue: 0) }
  @inlinable public static var mediaConnect: Self { Self(rawValue: 0x4001_000B) }
  @inlinable public static var mediaDisconnect: Self { Self(rawValue: 0x4001_000C) }
  @inlinable public static var linkSpeedChange: Self { Self(rawValue: 0x4001_0013) }
  /// The adapter is on another network: Linux takes the link down and up again.
  @inlinable public static var networkChange: Self { Self(rawValue: 0x4001_0018) }
  @inlinable public static var failure: Self { Self(rawValue: 0xC000_0001) }
  @inlinable public static var notSupported: Self { Self(rawValue: 0xC000_00BB) }
  @inlinable public static var invalidLength: Self { Self(rawValue: 0xC001_0014) }
  @inlinable public static var invalidData: Self { Self(rawValue: 0xC001_0015) }
}
