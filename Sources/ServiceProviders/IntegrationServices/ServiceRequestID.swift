// SPDX-License-Identifier: Apache-2.0

/// Names one request of the owner; the owner chooses it. Every request ends in exactly one `.completed` with its id.
public struct ServiceRequestID: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }
}
