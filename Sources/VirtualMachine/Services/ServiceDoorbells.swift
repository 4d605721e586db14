// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import CLinux
import Glibc
import Partition

/// The event descriptors that the services' thread sleeps on: one per service, rung by the guest's signals inside KVM, and
/// one to wake it for anything else. They live as long as the machine, so opening and closing channels makes none.
struct ServiceDoorbells: ~Copyable, Sendable {
  private let descriptors: [Int32]
  private static let services: [IntegrationService] = [
    .heartbeat, .shutdown, .timeSynchronization, .keyValuePair, .volumeSnapshot, .fileCopy,
  ]

  init() throws(PartitionError) {
    var made: [Int32] = []
    for _ in 0...Self.services.count {
      let descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
      guard descriptor >= 0 else {
        let failure = errno
        for earlier in made { close(earlier) }
        throw .system(operation: "making an event descriptor", errno: failure)
      }
      made.append(descriptor)
    }
    descriptors = made
  }

  deinit { for descriptor in descriptors { close(descriptor) } }

  func descriptor(of service: IntegrationService) -> Int32 { descriptors[Int(service.rawValue)] }

  /// Ends the thread's sleep.
  func wake() { increment(descriptors[Self.services.count]) }

  /// As the guest rings: there is more in this service's ring.
  func ring(_ service: IntegrationService) { increment(descriptor(of: service)) }

  private func increment(_ descriptor: Int32) {
    var one: UInt64 = 1
    _ = unsafe write(descriptor, &one, 8)
  }

  /// Sleeps until something rings or `deadline` (monotonic nanoseconds; nil: none).
  func wait(until deadline: UInt64?) {
    var timeout: Int32 = -1
    if let deadline {
      let now = MachineClock.monotonic()
      // Rounded up, so that the deadline has passed when the sleep ends.
      timeout = deadline <= now ? 0 : Int32(clamping: (deadline - now + 999_999) / 1_000_000)
    }
    var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    guard unsafe poll(&polled, nfds_t(polled.count), timeout) > 0 else { return }
    for entry in polled where entry.revents != 0 {
      var count: UInt64 = 0
      _ = unsafe read(entry.fd, &count, 8)
    }
  }
}
