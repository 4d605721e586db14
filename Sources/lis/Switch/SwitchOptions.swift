// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine
import VirtualSwitch

extension SwitchDescription.Kind: ExpressibleByArgument {}

/// What a switch is to be.
struct SwitchOptions: ParsableArguments {
  @Option(help: "external (leads out of the host), internal (machines and the host), or private (machines only).")
  var kind: SwitchDescription.Kind

  @Option(
    help: ArgumentHelp(
      "The TAP device that leads out; of an internal switch the one to make, for the host's end.", valueName: "device"))
  var tap: String?

  @Option(help: ArgumentHelp("Queues of the TAP device, 1 to 16.", valueName: "count"))
  var queues = 1

  @Option(help: ArgumentHelp("The network interface whose wire leads out.", valueName: "device"))
  var interface: String?

  @Flag(help: "Lead out through user-mode NAT (passt), without privileges.")
  var nat = false

  @Option(
    help: ArgumentHelp(
      "With --nat: a port of the host that leads inside, [tcp:|udp:][address:]host-port:guest-port.",
      valueName: "ports"))
  var forward: [String] = []

  @Option(help: ArgumentHelp("The largest packet, 68 to 65521.", valueName: "bytes"))
  var mtu = 1500

  /// The way out; `nil` for a private switch.
  func uplink(of name: MachineName) throws(ControlError) -> Uplink? {
    let ways = (tap == nil ? 0 : 1) + (interface == nil ? 0 : 1) + (nat ? 1 : 0)
    guard (1...16).contains(queues) else {
      throw ControlError(.configuration, "\(queues) queues are outside 1–16", remedy: "use 1 to 16")
    }
    guard forward.isEmpty || nat else {
      throw ControlError(.configuration, "--forward needs --nat", remedy: "TAP devices need no forwarding")
    }
    guard PortSettings.payloads.contains(mtu) else { throw ControlError(SwitchError.payloadOutOfRange(mtu)) }
    switch kind {
    case .private:
      guard ways == 0 else {
        throw ControlError(.configuration, "a private switch has no way out", remedy: "use --kind external")
      }
      return nil
    case .internal:
      guard interface == nil, !nat else {
        throw ControlError(.configuration, "an internal switch leads to the host only", remedy: "use --kind external")
      }
      // A device's name has 15 bytes.
      return .tap(tap ?? String("lis-\(name)".prefix(15)), queues: queues, creates: true)
    case .external:
      guard ways == 1 else {
        throw ControlError(
          .configuration, ways == 0 ? "an external switch needs a way out" : "an external switch has one way out",
          remedy: "use one of --tap, --interface and --nat")
      }
      if let tap { return .tap(tap, queues: queues) }
      if let interface { return .interface(interface) }
      return .passt(try forwardings())
    }
  }

  private func forwardings() throws(ControlError) -> [PortForwarding] {
    var result: [PortForwarding] = []
    for text in forward {
      guard let one = PortForwarding(text) else {
        throw ControlError(
          .configuration, "\"\(text)\" is no forwarding of a port", remedy: "use 8080:80, or udp:127.0.0.1:5353:53")
      }
      result.append(one)
    }
    return result
  }

  /// The same as arguments.
  var arguments: [String] {
    var list = ["--kind", kind.rawValue, "--mtu", "\(mtu)", "--queues", "\(queues)"]
    if let tap { list += ["--tap", tap] }
    if let interface { list += ["--interface", interface] }
    if nat { list.append("--nat") }
    for text in forward { list += ["--forward", text] }
    return list
  }
}
