// SPDX-License-Identifier: Apache-2.0

/// Virtual switches.
extension Rendering {
  public func switches(_ switches: [SwitchDescription]) -> String {
    switch format {
    case .json: return JSONText.pretty(switches)
    case .table:
      guard !switches.isEmpty else { return "no switches\n" }
      var table = TextTable(heading: ["SWITCH", "KIND", "UPLINK", "MTU", "ADAPTERS", "PROCESS"])
      for one in switches {
        table.rows.append([
          TextTable.Cell(one.name), TextTable.Cell(one.kind.rawValue), uplink(one), TextTable.Cell("\(one.mtu)"),
          TextTable.Cell("\(one.ports.filter { $0.kind == .adapter }.count)"), TextTable.Cell("\(one.processId)"),
        ])
      }
      return table.text(style)
    }
  }

  public func virtualSwitch(_ one: SwitchDescription) -> String {
    switch format {
    case .json: return JSONText.pretty(one)
    case .table:
      var text = TextTable.pairs(
        [
          ("switch", TextTable.Cell(one.name)), ("kind", TextTable.Cell(one.kind.rawValue)), ("uplink", uplink(one)),
          ("mtu", TextTable.Cell("\(one.mtu)")), ("socket", TextTable.Cell(PrintableText.quoted(one.portSocket))),
          ("process", TextTable.Cell("\(one.processId)")), ("addresses", TextTable.Cell("\(one.addressCount) learned")),
        ], style)
      for capture in one.captures {
        let state = capture.failure.map { "failed: \($0)" } ?? "\(capture.frames) frames"
        text += TextTable.pairs(
          [("capture", TextTable.Cell("\(PrintableText.quoted(capture.path)), \(PrintableText.quoted(state))"))], style)
      }
      return one.ports.isEmpty ? text : text + "\n" + ports(one.ports)
    }
  }

  public func switchPort(_ port: SwitchPortDescription) -> String {
    switch format {
    case .json: JSONText.pretty(port)
    case .table: ports([port])
    }
  }

  public func switchPorts(_ list: [SwitchPortDescription]) -> String {
    switch format {
    case .json: JSONText.pretty(list)
    case .table: list.isEmpty ? "no ports\n" : ports(list)
    }
  }

  private func ports(_ ports: [SwitchPortDescription]) -> String {
    var table = TextTable(heading: ["PORT", "KIND", "LINK", "VLAN", "MAC ADDRESS", "RECEIVED", "SENT", "DROPPED"])
    for port in ports {
      let dropped = port.dropped.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
      table.rows.append([
        TextTable.Cell(PrintableText.quoted(port.name)), TextTable.Cell(port.kind.rawValue),
        port.up ? TextTable.Cell("up", .good) : TextTable.Cell("down", .bad), TextTable.Cell("\(port.vlan)"),
        TextTable.Cell(port.macAddress ?? "-"),
        TextTable.Cell("\(port.receivedFrames), \(Quantity.bytes(port.receivedBytes))"),
        TextTable.Cell("\(port.sentFrames), \(Quantity.bytes(port.sentBytes))"),
        dropped.isEmpty ? TextTable.Cell("-") : TextTable.Cell(dropped, .warning),
      ])
    }
    return table.text(style)
  }

  private func uplink(_ one: SwitchDescription) -> TextTable.Cell {
    guard let uplink = one.uplink else { return TextTable.Cell("-") }
    let isDown = one.ports.contains { $0.kind == .uplink && !$0.up }
    return TextTable.Cell(PrintableText.quoted(uplink) + (isDown ? " (down)" : ""), isDown ? .bad : nil)
  }
}
