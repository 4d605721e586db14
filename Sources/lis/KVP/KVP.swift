// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct KVPCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kvp", abstract: "Data exchange with a guest: keys and values in pools.",
    discussion: """
      Pools: external (the host writes, the guest reads), guest (the guest writes, the host reads), auto (what the guest \
      tells about itself), host (what the host tells about itself).
      """,
    subcommands: [KVPList.self, KVPGet.self, KVPSet.self, KVPDelete.self])
}
