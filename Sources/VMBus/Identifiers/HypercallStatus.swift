// SPDX-License-Identifier: Apache-2.0

/// The result of a hypercall, bits 0–15 of RAX (Hypervisor Top-Level Functional Specification, appendix B).
public struct HypercallStatus: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt16

  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  public static let success = HypercallStatus(rawValue: 0)
  public static let invalidHypercallCode = HypercallStatus(rawValue: 2)
  public static let invalidHypercallInput = HypercallStatus(rawValue: 3)
  public static let invalidAlignment = HypercallStatus(rawValue: 4)
  public static let invalidParameter = HypercallStatus(rawValue: 5)
  public static let accessDenied = HypercallStatus(rawValue: 6)
  public static let operationDenied = HypercallStatus(rawValue: 8)
  public static let insufficientMemory = HypercallStatus(rawValue: 11)
  public static let invalidPortID = HypercallStatus(rawValue: 17)
  /// For a contact: "not that version", Linux tries the next one at once. For other messages Linux tries again.
  public static let invalidConnectionID = HypercallStatus(rawValue: 18)
  /// Linux tries again.
  public static let insufficientBuffers = HypercallStatus(rawValue: 19)

  /// The caller may post the same message again later.
  @inlinable public var isTransient: Bool { self == .insufficientMemory || self == .insufficientBuffers }
}
