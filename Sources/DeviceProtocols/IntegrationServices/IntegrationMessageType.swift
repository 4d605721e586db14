// SPDX-License-Identifier: Apache-2.0

/// What an integration message is about: one type for the negotiation and one for each service.
public struct IntegrationMessageType: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt16

  @inlinable public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  @inlinable public static var negotiate: Self { Self(rawValue: 0) }
  @inlinable public static var heartbeat: Self { Self(rawValue: 1) }
  @inlinable public static var keyValuePair: Self { Self(rawValue: 2) }
  @inlinable public static var shutdown: Self { Self(rawValue: 3) }
  @inlinable public static var timeSynchronization: Self { Self(rawValue: 4) }
  @inlinable public static var volumeSnapshot: Self { Self(rawValue: 5) }
  @inlinable public static var fileCopy: Self { Self(rawValue: 7) }
}
