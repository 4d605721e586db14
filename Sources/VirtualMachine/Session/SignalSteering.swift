// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Partition
import Synchronization

/// What Ctrl-C and `kill` mean for a machine in the foreground: the first asks the guest to shut down, the second
/// switches the machine off. A guest that cannot be asked is switched off at once.
final class SignalSteering: Sendable {
  /// How long the guest has after the first signal.
  static let patience = Duration.seconds(60)

  private let machine: VirtualMachine
  private let say: @Sendable (String) -> Void
  private let count = Atomic(0)
  private let watch = Mutex<SignalWatch?>(nil)

  init(_ machine: VirtualMachine, say: @escaping @Sendable (String) -> Void) throws(PartitionError) {
    self.machine = machine
    self.say = say
    let watch = try SignalWatch { [weak self] _ in self?.requested() }
    self.watch.withLock { $0 = watch }
  }

  func requested() {
    let number = count.add(1, ordering: .relaxed).newValue
    Task { [self] in
      if number == 1 {
        say("asking the guest to shut down; once more switches the machine off")
        do throws(ControlError) {
          try await machine.shutDown(timeout: Self.patience)
        } catch {
          // A second signal may have ended the machine meanwhile: then there is nothing to say.
          guard error.code != .notRunning, !machine.life.value.isOver else { return }
          say("\(error.message): switching the machine off")
          try? await machine.turnOff()
        }
      } else {
        try? await machine.turnOff()
      }
    }
  }

  func end() { watch.withLock { $0.take() }?.end() }
}
