// SPDX-License-Identifier: Apache-2.0

/// Whether a contact at a supported version succeeded.
public struct ConnectionState: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let successful = ConnectionState(rawValue: 0)
  public static let lowResources = ConnectionState(rawValue: 1)
  public static let unknownFailure = ConnectionState(rawValue: 2)
}
