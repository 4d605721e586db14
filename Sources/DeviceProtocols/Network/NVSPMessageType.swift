// SPDX-License-Identifier: Apache-2.0

/// The first word of every NVSP message.
public struct NVSPMessageType: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static var initialize: Self { Self(rawValue: 1) }
  @inlinable public static var initializeComplete: Self { Self(rawValue: 2) }
  @inlinable public static var ndisVersion: Self { Self(rawValue: 100) }
  @inlinable public static var receiveBuffer: Self { Self(rawValue: 101) }
  @inlinable public static var receiveBufferComplete: Self { Self(rawValue: 102) }
  @inlinable public static var revokeReceiveBuffer: Self { Self(rawValue: 103) }
  @inlinable public static var sendBuffer: Self { Self(rawValue: 104) }
  @inlinable public static var sendBufferComplete: Self { Self(rawValue: 105) }
  @inlinable public static var revokeSendBuffer: Self { Self(rawValue: 106) }
  @inlinable public static var packet: Self { Self(rawValue: 107) }
  @inlinable public static var packetComplete: Self { Self(rawValue: 108) }
  @inlinable public static var configuration: Self { Self(rawValue: 125) }
  @inlinable public static var virtualFunction: Self { Self(rawValue: 128) }
  @inlinable public static var switchDataPath: Self { Self(rawValue: 129) }
  @inlinable public static var subChannels: Self { Self(rawValue: 133) }
  @inlinable public static var sendTable: Self { Self(rawValue: 134) }
}
