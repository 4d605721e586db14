// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// The open descriptors of a driver: read by all that send, changed when it is opened and closed.
final class DescriptorTable: Sendable {
  private let numbers = ReadWriteLocked<[Int32]>([])

  var isOpen: Bool { numbers.read { !$0.isEmpty } }

  func open(_ new: [Int32]) { numbers.write { $0 = new } }

  func close() {
    numbers.write { numbers in
      for number in numbers { Glibc.close(number) }
      numbers = []
    }
  }

  /// The descriptor for a flow; it stays open during the call. `nil`: none is open.
  func with<Result>(flow: UInt32, _ body: (Int32) -> Result) -> Result? {
    numbers.read { numbers in
      guard !numbers.isEmpty else { return nil }
      return body(numbers[Int(flow % UInt32(numbers.count))])
    }
  }

  func with<Result>(queue: Int, _ body: (Int32) -> Result) -> Result? {
    numbers.read { numbers in numbers.indices.contains(queue) ? body(numbers[queue]) : nil }
  }
}
