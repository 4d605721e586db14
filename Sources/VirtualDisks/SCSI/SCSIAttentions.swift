// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// Unit attention conditions that the guest has not heard of, oldest first, each at most once.
struct SCSIAttentions: Sendable {
  private var pending: [AdditionalSense] = []

  var isEmpty: Bool { pending.isEmpty }

  mutating func raise(_ attention: AdditionalSense) {
    if !pending.contains(attention) { pending.append(attention) }
  }

  /// A reset makes everything else old news, except that a medium or a capacity is another one.
  mutating func reset() {
    pending.removeAll { $0 != .mediumMayHaveChanged && $0 != .capacityChanged }
    raise(.resetOccurred)
  }

  mutating func removeAll() { pending.removeAll() }
  mutating func remove(_ attention: AdditionalSense) { pending.removeAll { $0 == attention } }

  mutating func take() -> AdditionalSense? { pending.isEmpty ? nil : pending.removeFirst() }

  /// Whether a command with this code ends with a waiting condition instead of being executed.
  ///
  /// The first five never do (SPC-4 5.14.5, MMC-6 4.1.6.1). MODE SENSE does, by the standard.
  /// Quirk `mode-sense-forced-good`: Linux's storvsc makes a success of whatever MODE SENSE answers, so the condition
  /// would be lost and the empty buffer taken for mode pages.
  static func interrupts(_ operation: SCSIOperation) -> Bool {
    switch operation {
    case .inquiry, .reportUnits, .requestSense, .getConfiguration, .getEventStatus: false
    case .modeSense6, .modeSense10: false
    default: true
    }
  }
}
