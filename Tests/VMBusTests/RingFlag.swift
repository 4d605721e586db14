// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Tells a racing thread to end.
final class Flag: Sendable {
  private let value = Atomic<Bool>(false)
  var isSet: Bool { value.load(ordering: .relaxed) }
  func set() { value.store(true, ordering: .relaxed) }
}
