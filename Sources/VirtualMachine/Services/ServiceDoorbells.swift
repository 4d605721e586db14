// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Glibc
import HostSystem
import Partition

/// The event descriptors that the services' thread sleeps on: one per service, rung by the guest's signals inside KVM, and
/// one to wake it for anything else. They live as long as the machine, so opening and closing channels makes none.
struct ServiceDoorbells: ~Copyable, Sendable {
  private let bells: [Bell]
  private static let services: [IntegrationService] = [
    .heartbeat, .shutdown, .timeSynchronization, .keyValuePair, .volumeSnapshot, .fileCopy,
  ]

  /// An event descriptor that an array can hold.
  private final class Bell: Sendable {
    let event: EventDescriptor
    init() throws(PartitionError) { event = try EventDescriptor.forPartition() }
  }

  init() throws(PartitionError) {
    var made: [Bell] = []
    for _ in 0...Self.services.count { made.append(try Bell()) }
    bells = made
  }

  func descriptor(of service: IntegrationService) -> Int32 { bells[Int(service.rawValue)].event.number }

  /// Ends the thread's sleep.
  func wake() { bells[Self.services.count].event.signal() }

  /// As the guest rings: there is more in this service's ring.
  func ring(_ service: IntegrationService) { bells[Int(service.rawValue)].event.signal() }

  /// Sleeps until something rings or `deadline` (monotonic nanoseconds; nil: none).
  func wait(until deadline: UInt64?) {
    var timeout: Int32 = -1
    if let deadline {
      let now = MachineClock.monotonic()
      // Rounded up, so that the deadline has passed when the sleep ends.
      timeout = deadline <= now ? 0 : Int32(clamping: (deadline - now + 999_999) / 1_000_000)
    }
    var polled = bells.map { pollfd(fd: $0.event.number, events: Int16(POLLIN), revents: 0) }
    guard unsafe poll(&polled, nfds_t(polled.count), timeout) > 0 else { return }
    for entry in polled where entry.revents != 0 {
      EventDescriptor.drain(entry.fd)
    }
  }
}
