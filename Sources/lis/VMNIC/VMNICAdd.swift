// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine

struct VMNICAdd: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a network adapter to a running machine, which has up to eight.",
    discussion: """
      EXAMPLES
        lis vm nic add web user --forward tcp:2222:22
        lis vm nic add web tap:tap0 --mtu 9000 --vlan "access 5"
        lis vm nic add web interface:eth1 --name lan --mac 02:00:00:00:00:07 --vlan "trunk 1-10,20 native 1"
      """)

  @OptionGroup var machine: MachineArgument
  @OptionGroup var plug: NICConnectionOptions

  @Option(help: "The adapter's name (default: nic0 or the next one free).")
  var name: String?

  @Option(help: ArgumentHelp("Its address (default: one that is the same for the same names).", valueName: "address"))
  var mac: String?

  @Option(
    help: ArgumentHelp(
      "\"untagged\", \"access 5\" or \"trunk 1-10,20 native 1\" (default: untagged).", valueName: "mode"))
  var vlan: String?

  @Option(
    help: ArgumentHelp("The largest MTU that the guest may set, 1280 to 9216 (default: 1500).", valueName: "bytes"))
  var mtu: Int?

  @Flag(help: "The guest may send from, and take, other addresses.")
  var spoofing = false

  @Flag(help: "No frames to and from other isolated adapters.")
  var isolated = false

  @Flag(help: "The guest may not announce itself as a router.")
  var routerGuard = false

  @Flag(help: "The guest may not answer DHCP.")
  var dhcpGuard = false

  @Option(help: ArgumentHelp("Channels, 1 to 8 (default: as many as processors).", valueName: "number"))
  var channels: Int?

  @Flag(help: "The guest signals it through the monitor page, for drivers outside of its kernel, such as DPDK's.")
  var monitored = false

  @OptionGroup var format: FormatOption

  func validate() throws {
    try NICValidation.check { source throws(ConfigurationError) in
      try NetworkAdapterConfiguration.check(request, source: source)
    }
  }

  var request: NICRequest {
    NICRequest(
      connection: plug.connection, name: name, mac: mac, vlan: vlan, mtu: mtu, spoofing: spoofing,
      isolated: isolated, routerGuard: routerGuard, dhcpGuard: dhcpGuard, channels: channels,
      monitored: monitored, forwards: plug.request.forwards)
  }

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.nic(try await machine.client.addNIC(request)))
  }
}
