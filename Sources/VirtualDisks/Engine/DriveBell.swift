// SPDX-License-Identifier: Apache-2.0

public import HostSystem

/// Ends the sleep of a drive queue's thread. Any thread may ring it, and KVM may on a guest's behalf.
public final class DriveBell: Sendable {
  private let event: EventDescriptor

  public init() throws(SystemError) { event = try EventDescriptor(blocking: true) }

  /// The event descriptor, to be signalled by others.
  public var number: Int32 { event.number }
  public func ring() { event.signal() }
}
