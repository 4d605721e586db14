// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine

struct VMNICCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nic", abstract: "Network adapters of a running machine: list, add, remove, connect, VLANs, capture.",
    discussion: """
      An adapter is named as it was when it was added, by default nic0, nic1 and so on. The guest sees each change at \
      once. What it is connected to is user (the host's network, without privileges, through passt), tap:NAME (a TAP \
      device), interface:NAME (an interface of the host), switch:NAME (a switch of `lis switch`) or \
      none. Adapters of one machine with the same TAP device or \
      interface share a switch.
      """,
    subcommands: [
      VMNICList.self, VMNICAdd.self, VMNICRemove.self, VMNICConnect.self, VMNICDisconnect.self, VMNICLink.self,
      VMNICVLAN.self, VMNICGuard.self, VMNICCapture.self,
    ])
}

/// A machine and one of its adapters.
struct NICArgument: ParsableArguments {
  @OptionGroup var machine: MachineArgument

  @Argument(help: ArgumentHelp("The adapter's name, such as nic0.", valueName: "nic"))
  var name: String

  func validate() throws {
    guard !name.isEmpty else { throw ValidationError("An adapter's name is not empty.") }
  }
}

/// What an adapter is plugged into.
struct NICConnectionOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp("user, tap:NAME, interface:NAME, switch:NAME or none.", valueName: "connection"),
    completion: .list(["user", "tap:", "interface:", "switch:", "none"]))
  var connection: String

  @Option(
    name: .customLong("forward"),
    help: ArgumentHelp(
      "With user: a port of the host that leads to the guest; may be repeated.",
      valueName: "[tcp:|udp:][address:]host-port:guest-port"))
  var forwards: [String] = []

  var request: NICConnectionRequest {
    NICConnectionRequest(connection: connection, forwards: forwards.isEmpty ? nil : forwards)
  }
}

/// What the machine would say of a text is said before it is asked.
enum NICValidation {
  static func check(_ body: ((String) -> String) throws(ConfigurationError) -> Void) throws {
    do throws(ConfigurationError) {
      try body { field in
        switch field {
        case "connection": return "<connection>"
        case "forwards": return "--forward"
        default:
          // As in the request's fields: routerGuard is --router-guard.
          let words = field.map { $0.isUppercase ? "-\($0.lowercased())" : "\($0)" }.joined()
          return "--\(words)"
        }
      }
    } catch {
      throw ValidationError(error.description)
    }
  }
}

extension AttachedAdapter.Link: ExpressibleByArgument {}
