// SPDX-License-Identifier: Apache-2.0

/// What an offer says about its channel. Linux looks only at `socket`; unknown bits are kept and ignored.
public struct OfferFlags: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt16

  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  public static let none = OfferFlags(rawValue: 0)
  public static let enumerateInterface = OfferFlags(rawValue: 0x0001)
  public static let confidentialRing = OfferFlags(rawValue: 0x0002)
  public static let confidentialExternalMemory = OfferFlags(rawValue: 0x0004)
  public static let pinnedMemory = OfferFlags(rawValue: 0x0008)
  /// The user data begins with a `PipeMode`.
  public static let namedPipe = OfferFlags(rawValue: 0x0010)
  /// A Hyper-V socket: Linux takes a channel with this flag for nothing else.
  public static let socket = OfferFlags(rawValue: 0x2000)

  @inlinable public func contains(_ other: OfferFlags) -> Bool { rawValue & other.rawValue == other.rawValue }
  @inlinable public func union(_ other: OfferFlags) -> OfferFlags { OfferFlags(rawValue: rawValue | other.rawValue) }
}
