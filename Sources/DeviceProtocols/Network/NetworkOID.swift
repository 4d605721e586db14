// SPDX-License-Identifier: Apache-2.0

/// What an RNDIS query or set is about. Those that Linux and DPDK use, and those that every NDIS adapter answers.
public struct NetworkOID: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static var supportedList: Self { Self(rawValue: 0x0001_0101) }
  @inlinable public static var hardwareStatus: Self { Self(rawValue: 0x0001_0102) }
  @inlinable public static var mediaSupported: Self { Self(rawValue: 0x0001_0103) }
  @inlinable public static var mediaInUse: Self { Self(rawValue: 0x0001_0104) }
  @inlinable public static var maximumLookahead: Self { Self(rawValue: 0x0001_0105) }
  @inlinable public static var maximumFrameSize: Self { Self(rawValue: 0x0001_0106) }
  @inlinable public static var linkSpeed: Self { Self(rawValue: 0x0001_0107) }
  @inlinable public static var transmitBufferSpace: Self { Self(rawValue: 0x0001_0108) }
  @inlinable public static var receiveBufferSpace: Self { Self(rawValue: 0x0001_0109) }
  @inlinable public static var transmitBlockSize: Self { Self(rawValue: 0x0001_010A) }
  @inlinable public static var receiveBlockSize: Self { Self(rawValue: 0x0001_010B) }
  @inlinable public static var vendorID: Self { Self(rawValue: 0x0001_010C) }
  @inlinable public static var vendorDescription: Self { Self(rawValue: 0x0001_010D) }
  @inlinable public static var packetFilter: Self { Self(rawValue: 0x0001_010E) }
  @inlinable public static var currentLookahead: Self { Self(rawValue: 0x0001_010F) }
  @inlinable public static var driverVersion: Self { Self(rawValue: 0x0001_0110) }
  @inlinable public static var maximumTotalSize: Self { Self(rawValue: 0x0001_0111) }
  @inlinable public static var macOptions: Self { Self(rawValue: 0x0001_0113) }
  @inlinable public static var mediaConnectStatus: Self { Self(rawValue: 0x0001_0114) }
  @inlinable public static var maximumSendPackets: Self { Self(rawValue: 0x0001_0115) }
  @inlinable public static var vendorDriverVersion: Self { Self(rawValue: 0x0001_0116) }
  /// Windows tells its addresses.
  @inlinable public static var networkLayerAddresses: Self { Self(rawValue: 0x0001_0118) }
  @inlinable public static var receiveScaleCapabilities: Self { Self(rawValue: 0x0001_0203) }
  @inlinable public static var receiveScaleParameters: Self { Self(rawValue: 0x0001_0204) }
  @inlinable public static var rndisConfigParameter: Self { Self(rawValue: 0x0001_021B) }
  @inlinable public static var transmitGood: Self { Self(rawValue: 0x0002_0101) }
  @inlinable public static var receiveGood: Self { Self(rawValue: 0x0002_0102) }
  @inlinable public static var transmitError: Self { Self(rawValue: 0x0002_0103) }
  @inlinable public static var receiveError: Self { Self(rawValue: 0x0002_0104) }
  @inlinable public static var receiveNoBuffer: Self { Self(rawValue: 0x0002_0105) }
  @inlinable public static var friendlyName: Self { Self(rawValue: 0x0002_0216) }
  @inlinable public static var permanentAddress: Self { Self(rawValue: 0x0101_0101) }
  @inlinable public static var currentAddress: Self { Self(rawValue: 0x0101_0102) }
  @inlinable public static var multicastList: Self { Self(rawValue: 0x0101_0103) }
  @inlinable public static var maximumListSize: Self { Self(rawValue: 0x0101_0104) }
  @inlinable public static var alignmentErrors: Self { Self(rawValue: 0x0102_0101) }
  @inlinable public static var oneCollision: Self { Self(rawValue: 0x0102_0102) }
  @inlinable public static var moreCollisions: Self { Self(rawValue: 0x0102_0103) }
  @inlinable public static var offloadCurrent: Self { Self(rawValue: 0xFC01_020B) }
  @inlinable public static var offloadParameters: Self { Self(rawValue: 0xFC01_020C) }
  @inlinable public static var offloadHardware: Self { Self(rawValue: 0xFC01_020D) }
}

/// Which frames a guest wants to see.
public struct NetworkPacketFilter: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static var none: Self { Self(rawValue: 0) }
  @inlinable public static var directed: Self { Self(rawValue: 1) }
  /// Groups of the multicast list.
  @inlinable public static var multicast: Self { Self(rawValue: 2) }
  @inlinable public static var allMulticast: Self { Self(rawValue: 4) }
  @inlinable public static var broadcast: Self { Self(rawValue: 8) }
  @inlinable public static var promiscuous: Self { Self(rawValue: 0x20) }

  @inlinable public func union(_ other: Self) -> Self { Self(rawValue: rawValue | other.rawValue) }
  @inlinable public func contains(_ other: Self) -> Bool { rawValue & other.rawValue == other.rawValue }
}
