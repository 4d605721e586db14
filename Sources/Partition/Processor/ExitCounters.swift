// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// How often a processor came back to this process, by kind.
final class ExitCounters: Sendable {
  enum Kind: Int, CaseIterable, Sendable {
    case portRead, portWrite, deviceRead, deviceWrite, serialRead, serialWrite, memory, synic, postMessage, signalEvent,
      otherHypercall
    case register, shutdown, systemEvent, interrupted, again, other
  }

  private let counts = InlineArray<17, Atomic<UInt64>> { _ in Atomic(0) }

  func count(_ kind: Kind) { counts[kind.rawValue].add(1, ordering: .relaxed) }
  func value(_ kind: Kind) -> UInt64 { counts[kind.rawValue].load(ordering: .relaxed) }
}
