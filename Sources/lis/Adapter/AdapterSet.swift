// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct AdapterSet: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "set", abstract: "Set an adapter's addresses.",
    discussion: "Options may be repeated; give one --subnet for each --address, in the same order.")

  @OptionGroup var machine: MachineArgument

  @Argument(help: "The adapter's instance GUID: Linux finds it by that when it is told.")
  var adapter: String

  @Flag(help: "Get the addresses by DHCP.")
  var dhcp = false

  @Option(name: .customLong("address"), help: "An IPv4 or IPv6 address.")
  var addresses: [String] = []

  @Option(name: .customLong("subnet"), help: "Its mask (IPv4) or prefix length (IPv6).")
  var subnets: [String] = []

  @Option(name: .customLong("gateway"), help: "A gateway's address.")
  var gateways: [String] = []

  @Option(name: .customLong("dns"), help: "A DNS server's address.")
  var dnsServers: [String] = []

  func validate() throws {
    guard dhcp || !addresses.isEmpty else { throw ValidationError("Give --dhcp or at least one --address.") }
    guard addresses.count == subnets.count else {
      throw ValidationError("There are \(addresses.count) addresses but \(subnets.count) subnets; give one for each.")
    }
  }

  func perform() async throws(ControlError) {
    try await machine.client.setAddresses(
      AdapterUpdate(dhcp: dhcp, addresses: addresses, subnets: subnets, gateways: gateways, dnsServers: dnsServers),
      of: adapter)
  }
}
