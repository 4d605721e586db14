// SPDX-License-Identifier: Apache-2.0

/// The network adapters of a running machine.
extension Rendering {
  public func nics(_ nics: [AttachedAdapter]) -> String {
    switch format {
    case .json: JSONText.pretty(nics)
    case .table: nics.isEmpty ? "no network adapters\n" : table(nics)
    }
  }

  public func nic(_ nic: AttachedAdapter) -> String {
    switch format {
    case .json: JSONText.pretty(nic)
    case .table: table([nic])
    }
  }

  public func capture(_ capture: AdapterCapture) -> String {
    switch format {
    case .json: return JSONText.pretty(capture)
    case .table:
      var text = "\(PrintableText.quoted(capture.path)): \(capture.frames) frames"
      if capture.leftOut > 0 { text += ", \(capture.leftOut) left out because the file was slow" }
      if let failure = capture.failure { text += "; not written any more: \(PrintableText.quoted(failure))" }
      return text + "\n"
    }
  }

  func table(_ nics: [AttachedAdapter]) -> String {
    var table = TextTable(
      heading: [
        "NIC", "KIND", "MAC", "CONNECTION", "LINK", "VLAN", "MTU", "CHANNELS", "VERSION", "SENT", "RECEIVED", "DROPPED",
        "CAPTURE",
      ])
    for nic in nics {
      let drops = nic.port?.drops.values.reduce(0, &+) ?? 0
      table.rows.append([
        TextTable.Cell(PrintableText.quoted(nic.name)), TextTable.Cell(nic.kind.rawValue), TextTable.Cell(nic.guestMAC),
        TextTable.Cell(PrintableText.quoted(nic.connection)),
        TextTable.Cell(nic.link.rawValue, nic.link == .up ? .good : .faint), TextTable.Cell(nic.vlan),
        "\(nic.mtu)", nic.kind == .legacy ? "-" : "\(nic.channels)", TextTable.Cell(nic.version ?? "-"),
        TextTable.Cell(Quantity.bytes(nic.counters.sentBytes)),
        TextTable.Cell(Quantity.bytes(nic.counters.receivedBytes)),
        TextTable.Cell("\(drops)", drops > 0 ? .warning : nil),
        TextTable.Cell(nic.capture.map { PrintableText.quoted($0.path) } ?? "-"),
      ])
    }
    return table.text(style)
  }
}
