// SPDX-License-Identifier: Apache-2.0

/// A Windows status code, the way the host tells the guest how something ended. Linux looks only whether it is 0.
public struct NTStatus: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let success = NTStatus(rawValue: 0)
  public static let unsuccessful = NTStatus(rawValue: 0xC000_0001)
  public static let invalidParameter = NTStatus(rawValue: 0xC000_000D)
  public static let revisionMismatch = NTStatus(rawValue: 0xC000_0059)
  public static let insufficientResources = NTStatus(rawValue: 0xC000_009A)
  public static let invalidDeviceState = NTStatus(rawValue: 0xC000_0184)
  public static let notFound = NTStatus(rawValue: 0xC000_0225)
  public static let connectionRefused = NTStatus(rawValue: 0xC000_0236)
}
