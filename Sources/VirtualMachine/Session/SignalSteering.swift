// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Dispatch
import Glibc
import Synchronization

/// What Ctrl-C and `kill` mean for a machine in the foreground: the first asks the guest to shut down, the second
/// switches the machine off. A guest that cannot be asked is switched off at once.
final class SignalSteering: Sendable {
  static let signals = [SIGINT, SIGTERM, SIGHUP]
  /// How long the guest has after the first signal.
  static let patience = Duration.seconds(60)

  private let machine: VirtualMachine
  private let say: @Sendable (String) -> Void
  private let count = Atomic(0)
  private let sources = Mutex<[any DispatchSourceSignal]>([])

  init(_ machine: VirtualMachine, say: @escaping @Sendable (String) -> Void) {
    self.machine = machine
    self.say = say
    let queue = DispatchQueue(label: "swift-lis.signals")
    sources.withLock { sources in
      for number in Self.signals {
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
        source.setEventHandler { [weak self] in self?.requested() }
        source.resume()
        sources.append(source)
      }
    }
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

  func end() {
    sources.withLock { for source in $0 { source.cancel() } }
  }
}
