// SPDX-License-Identifier: Apache-2.0

/// A function's place on the one bus there is.
public struct PCIAddress: Hashable, Sendable {
  /// Device 0…31 in bits 3–7, function 0…7 in bits 0–2.
  public var rawValue: UInt8

  public init(device: UInt8, function: UInt8 = 0) { rawValue = device << 3 | function & 7 }
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public var device: UInt8 { rawValue >> 3 }
  public var function: UInt8 { rawValue & 7 }
}
