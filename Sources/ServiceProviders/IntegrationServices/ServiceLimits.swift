// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// Time limits and queue bounds that every service shares. Nanoseconds.
public enum ServiceLimits {
  public static let second: UInt64 = 1_000_000_000
  public static let millisecond: UInt64 = 1_000_000
  /// After this long without an answer, NEGOTIATE is taken to wait for the guest's daemon.
  public static let negotiationPatience: UInt64 = 5 * second
  /// Linux's drivers answer E_FAIL for a silent daemon after 30 s. Giving up earlier tells "not answering" from
  /// "failed"; the answer of the driver is then counted as late.
  public static let reply: UInt64 = 20 * second
  /// Between two looks for a daemon that is not there.
  public static let daemonWatch: UInt64 = 5 * second
  /// Events that may wait for the owner.
  public static let events = 64
  /// Requests of one service that may wait for their turn.
  public static let requests = 64
}

/// The versions that the host offers to the guest: all, or fewer for tests and for working round a guest's fault.
public struct VersionOffer: Sendable, Equatable {
  public var frameworks: ServiceVersionList
  public var messages: ServiceVersionList

  public init(frameworks: ServiceVersionList, messages: ServiceVersionList) {
    self.frameworks = frameworks
    self.messages = messages
  }

  public init(_ service: IntegrationService) {
    frameworks = service.frameworkVersions
    messages = service.messageVersions
  }
}
