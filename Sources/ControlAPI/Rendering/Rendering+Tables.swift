// SPDX-License-Identifier: Apache-2.0

/// Text for people.
extension Rendering {
  func table(_ machines: [MachineSummary]) -> String {
    var table = TextTable(heading: ["NAME", "STATE", "PROCESSORS", "MEMORY", "UPTIME", "HEARTBEAT", "PROCESS"])
    for machine in machines {
      table.rows.append([
        TextTable.Cell(machine.name), TextTable.Cell(machine.state, tone(ofState: machine.state)),
        TextTable.Cell(machine.processors.map(String.init) ?? "-"),
        TextTable.Cell(machine.memoryBytes.map(Quantity.bytes) ?? "-"),
        TextTable.Cell(machine.uptimeSeconds.map(Quantity.duration) ?? "-"),
        machine.heartbeat.map(cell) ?? "-", TextTable.Cell(machine.processID.map(String.init) ?? "-"),
      ])
    }
    return table.text(style)
  }

  func table(_ services: [ServiceStatus]) -> String {
    var table = TextTable(heading: ["SERVICE", "STATE", "VERSION", "FRAMEWORK", "TITLE"])
    for service in services {
      let detail = service.detail.map { ": \(PrintableText.quoted($0))" } ?? ""
      table.rows.append([
        TextTable.Cell(service.name.rawValue), cell(service.state), TextTable.Cell(service.version ?? "-"),
        TextTable.Cell(service.frameworkVersion ?? "-"), TextTable.Cell(service.title + detail),
      ])
    }
    return table.text(style)
  }

  func table(_ items: [KeyValueItem]) -> String {
    var table = TextTable(heading: ["KEY", "VALUE"])
    for item in items {
      table.rows.append([
        TextTable.Cell(PrintableText.quoted(item.key)), TextTable.Cell(PrintableText.quoted(item.value)),
      ])
    }
    return table.text(style)
  }

  func page(_ addresses: AdapterAddresses) -> String {
    func list(_ texts: [String]) -> TextTable.Cell {
      TextTable.Cell(texts.isEmpty ? "-" : texts.map(PrintableText.quoted).joined(separator: ", "))
    }
    return TextTable.pairs(
      [
        ("adapter", TextTable.Cell(PrintableText.quoted(addresses.adapter))),
        ("DHCP", addresses.dhcp ? "on" : "off"), ("addresses", list(addresses.addresses)),
        ("subnets", list(addresses.subnets)), ("gateways", list(addresses.gateways)),
        ("DNS servers", list(addresses.dnsServers)),
      ], style)
  }

  func page(_ machine: MachineDescription, statistics: Bool) -> String {
    var pairs: [(String, TextTable.Cell)] = [
      ("name", TextTable.Cell(machine.name)),
      ("state", TextTable.Cell(machine.state.rawValue, tone(ofState: machine.state.rawValue))),
      ("accelerator", "\(machine.accelerator): \(machine.acceleratorReason)"),
      ("processors", "\(machine.processors)"),
      ("memory", TextTable.Cell(Quantity.bytes(machine.memoryBytes))),
      ("uptime", "\(Quantity.duration(machine.uptimeSeconds)), since \(machine.startedAt)"),
    ]
    if machine.resets > 0 { pairs.append(("resets", "\(machine.resets)")) }
    pairs.append(("heartbeat", heartbeat(machine.heartbeat)))
    let open = machine.bus.channels.count { $0.state == .open }
    let version = machine.bus.version.map { "version \($0)" } ?? "not connected"
    pairs.append(("VMBus", "\(version), \(open) of \(machine.bus.channels.count) channels open"))
    pairs.append(("process", "\(machine.processID)"))
    if let crash = machine.crash {
      pairs.append(("panic", TextTable.Cell("\(crash.at)", .bad)))
      pairs.append(("", TextTable.Cell(crash.parameters.joined(separator: " "))))
      for line in (crash.message ?? "").split(separator: "\n").suffix(12) {
        pairs.append(("", TextTable.Cell(PrintableText.quoted(String(line)))))
      }
    }
    var text = TextTable.pairs(pairs, style)
    if !machine.disks.isEmpty { text += "\n" + table(machine.disks) }
    if !machine.nics.isEmpty { text += "\n" + table(machine.nics) }
    if !machine.services.isEmpty { text += "\n" + table(machine.services) }
    if !machine.bus.channels.isEmpty { text += "\n" + table(machine.bus.channels) }
    if statistics, !machine.statistics.isEmpty {
      let counters = machine.statistics.sorted { $0.key < $1.key }.map { ($0.key, TextTable.Cell("\($0.value)")) }
      text += "\n" + TextTable.pairs(counters, style)
    }
    return text
  }

  private func table(_ channels: [ChannelDescription]) -> String {
    var table = TextTable(heading: ["CHANNEL", "STATE", "PROCESSOR", "DEVICE"])
    for channel in channels {
      table.rows.append([
        "\(channel.id)", TextTable.Cell(channel.state.rawValue, channel.state == .open ? .good : nil),
        TextTable.Cell(channel.targetProcessor.map(String.init) ?? "-"), TextTable.Cell(channel.name),
      ])
    }
    return table.text(style)
  }

  private func heartbeat(_ status: HeartbeatStatus) -> TextTable.Cell {
    var result = cell(status.state)
    if let since = status.since { result.text += ", since \(since)" }
    if status.state == .lost, let last = status.lastBeat { result.text += ", last beat \(last)" }
    return result
  }

  private func cell(_ state: HeartbeatStatus.State) -> TextTable.Cell {
    switch state {
    case .ok: TextTable.Cell("OK", .good)
    case .noContact: TextTable.Cell("no contact", .warning)
    case .lost: TextTable.Cell("lost", .bad)
    case .off: TextTable.Cell("off", .faint)
    }
  }

  private func cell(_ state: ServiceStatus.State) -> TextTable.Cell {
    switch state {
    case .ready: TextTable.Cell("ready", .good)
    case .disabled: TextTable.Cell("disabled", .faint)
    case .offered, .negotiating: TextTable.Cell(state.rawValue)
    case .noDaemon: TextTable.Cell("no daemon", .warning)
    case .failed: TextTable.Cell("failed", .bad)
    }
  }

  private func tone(ofState state: String) -> TextStyle.Tone? {
    switch MachineState(rawValue: state) {
    case .running: .good
    case .starting, .stopping, .paused: .warning
    case .pausedCritical: .bad
    case .ended: .faint
    case nil: .bad
    }
  }
}
