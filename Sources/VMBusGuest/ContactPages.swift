// SPDX-License-Identifier: Apache-2.0

/// Guest physical addresses that a contact tells the host. Whole pages, zeroed, until the guest has unloaded.
public struct ContactPages: Equatable, Sendable {
  /// Only told to hosts below 5.0.
  public var interrupt: UInt64
  public var hostToGuestMonitor: UInt64
  public var guestToHostMonitor: UInt64

  public init(interrupt: UInt64, hostToGuestMonitor: UInt64, guestToHostMonitor: UInt64) {
    self.interrupt = interrupt
    self.hostToGuestMonitor = hostToGuestMonitor
    self.guestToHostMonitor = guestToHostMonitor
  }
}
