// SPDX-License-Identifier: Apache-2.0

/// How a channel in named pipe mode carries its data: the first u32 of the offer's user data.
public struct PipeMode: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let bytes = PipeMode(rawValue: 0)
  public static let messages = PipeMode(rawValue: 4)
}
