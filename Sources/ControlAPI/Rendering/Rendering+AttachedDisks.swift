// SPDX-License-Identifier: Apache-2.0

/// The disks of a running machine.
extension Rendering {
  public func disks(_ disks: [AttachedDisk]) -> String {
    switch format {
    case .json: JSONText.pretty(disks)
    case .table: disks.isEmpty ? "no disks\n" : table(disks)
    }
  }

  public func disk(_ disk: AttachedDisk) -> String {
    switch format {
    case .json: JSONText.pretty(disk)
    case .table: table([disk])
    }
  }

  func table(_ disks: [AttachedDisk]) -> String {
    var table = TextTable(heading: ["DISK", "KIND", "SIZE", "FORMAT", "ACCESS", "STATE", "READ", "WRITTEN", "FILE"])
    for disk in disks {
      let access = disk.readOnly ? "read-only" : disk.writeCache ? "read-write" : "write-through"
      table.rows.append([
        TextTable.Cell("\(disk.address)"), TextTable.Cell(disk.kind.rawValue),
        TextTable.Cell(disk.state == .empty ? "-" : Quantity.bytes(disk.sizeBytes)),
        TextTable.Cell(disk.format?.rawValue ?? "-"), TextTable.Cell(access), cell(disk),
        TextTable.Cell(Quantity.bytes(disk.counters.readBytes)),
        TextTable.Cell(Quantity.bytes(disk.counters.writtenBytes)),
        TextTable.Cell(disk.path.map(PrintableText.quoted) ?? "-"),
      ])
    }
    return table.text(style)
  }

  private func cell(_ disk: AttachedDisk) -> TextTable.Cell {
    // A disk of IDE has two faces; who uses which is worth knowing.
    let face = disk.kind == .disk ? disk.interface.map { ", \($0.rawValue)" } ?? "" : ""
    return switch disk.state {
    case .attached: TextTable.Cell("attached" + face, .good)
    case .empty: TextTable.Cell("empty", .faint)
    case .noSpace: TextTable.Cell("no space" + face, .bad)
    case .failed: TextTable.Cell("failed" + face, .bad)
    }
  }
}
