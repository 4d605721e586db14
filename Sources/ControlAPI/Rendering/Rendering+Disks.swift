// SPDX-License-Identifier: Apache-2.0

/// Disk images. Paths and texts from images are not ours: they are quoted.
extension Rendering {
  public func diskImage(_ image: DiskImageReport) -> String {
    switch format {
    case .json: JSONText.pretty(image)
    case .table: page(image)
    }
  }

  public func diskCheck(_ check: DiskCheckReport) -> String {
    switch format {
    case .json: JSONText.pretty(check)
    case .table: page(check)
    }
  }

  public func diskCompact(_ report: DiskCompactReport) -> String {
    switch format {
    case .json: return JSONText.pretty(report)
    case .table:
      let (before, after) = (report.allocatedBytesBefore, report.allocatedBytesAfter)
      let text = before > after ? "\(Quantity.bytes(before - after)) given back" : "nothing to give back"
      return "\(PrintableText.quoted(report.path)): \(text), \(Quantity.bytes(after)) in use\n"
    }
  }

  private func page(_ image: DiskImageReport) -> String {
    func exact(_ bytes: UInt64) -> String { "\(Quantity.bytes(bytes)) (\(bytes) bytes)" }
    var pairs: [(String, TextTable.Cell)] = [
      ("file", TextTable.Cell(PrintableText.quoted(image.path))),
      ("format", "\(image.kind) \(image.format)"),
      ("size", TextTable.Cell(exact(image.sizeBytes))),
      ("on the host", "\(Quantity.bytes(image.allocatedBytes)) of a file of \(Quantity.bytes(image.fileBytes))"),
    ]
    let (logical, physical) = (image.logicalSectorBytes, image.physicalSectorBytes)
    pairs.append(("sectors", TextTable.Cell(logical == physical ? "\(logical)" : "\(logical), physical \(physical)")))
    if let block = image.blockBytes { pairs.append(("blocks", TextTable.Cell(Quantity.bytes(UInt64(block))))) }
    if let identifier = image.diskIdentifier { pairs.append(("identifier", TextTable.Cell(identifier))) }
    for (index, parent) in image.parents.enumerated() {
      pairs.append((index == 0 ? "parents" : "", TextTable.Cell(PrintableText.quoted(parent))))
    }
    if let problem = image.parentProblem {
      pairs.append(("parent", TextTable.Cell(PrintableText.quoted(problem), .bad)))
    }
    pairs.append(("discard", TextTable.Cell(image.discard)))
    if let user = image.inUseBy {
      pairs.append(("in use by", TextTable.Cell(PrintableText.quoted(user), .warning)))
    }
    for note in image.notes { pairs.append(("note", TextTable.Cell(PrintableText.quoted(note), .warning))) }
    return TextTable.pairs(pairs, style)
  }

  private func page(_ check: DiskCheckReport) -> String {
    var text = ""
    for finding in check.findings {
      let place = finding.offset.map { " at byte \($0)" } ?? ""
      let structure = finding.structure.isEmpty ? "" : "\(finding.structure)\(place): "
      let severity = style.paint(finding.severity, finding.severity == "damage" ? .bad : .warning)
      let end = finding.repairable && check.repaired == 0 ? " (--repair puts it right)" : ""
      text += "\(severity)  \(PrintableText.quoted("\(finding.file): \(structure)\(finding.problem)"))\(end)\n"
    }
    if check.repaired > 0 { text += "\(check.repaired) repaired\n" }
    let verdict = check.sound ? style.paint("sound", .good) : style.paint("damaged", .bad)
    return text + "\(PrintableText.quoted(check.path)): \(verdict)\n"
  }
}
