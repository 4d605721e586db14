// SPDX-License-Identifier: Apache-2.0

/// What `lis` prints for each kind of answer. One switch over the formats each: a new format does not compile until it
/// is handled everywhere.
public struct Rendering: Sendable {
  public var format: OutputFormat
  public var style: TextStyle

  public init(_ format: OutputFormat, _ style: TextStyle = .plain) {
    self.format = format
    self.style = style
  }

  public func machines(_ machines: [MachineSummary]) -> String {
    switch format {
    case .json: JSONText.pretty(machines)
    case .table: machines.isEmpty ? "no machine is running\n" : table(machines)
    }
  }

  /// JSON has the counters always; people get them when they ask.
  public func machine(_ machine: MachineDescription, statistics: Bool = false) -> String {
    switch format {
    case .json: JSONText.pretty(machine)
    case .table: page(machine, statistics: statistics)
    }
  }

  public func services(_ services: [ServiceStatus]) -> String {
    switch format {
    case .json: JSONText.pretty(services)
    case .table: table(services)
    }
  }

  public func service(_ service: ServiceStatus) -> String {
    switch format {
    case .json: JSONText.pretty(service)
    case .table: table([service])
    }
  }

  public func items(_ items: [KeyValueItem]) -> String {
    switch format {
    case .json: JSONText.pretty(items)
    case .table: items.isEmpty ? "no items\n" : table(items)
    }
  }

  /// The bare value, so that a script can use it.
  public func item(_ item: KeyValueItem) -> String {
    switch format {
    case .json: JSONText.pretty(item)
    case .table: PrintableText.quoted(item.value) + "\n"
    }
  }

  public func addresses(_ addresses: AdapterAddresses) -> String {
    switch format {
    case .json: JSONText.pretty(addresses)
    case .table: page(addresses)
    }
  }

  public func snapshot(_ status: SnapshotStatus) -> String {
    switch format {
    case .json: return JSONText.pretty(status)
    case .table:
      guard status.frozen else {
        return status.supported ? "not frozen; the guest can freeze its file systems\n" : "the guest cannot freeze\n"
      }
      return "frozen" + (status.thawsAt.map { "; the host thaws by itself at \($0)" } ?? "") + "\n"
    }
  }

  public func copied(_ result: FileCopyResult) -> String {
    switch format {
    case .json: return JSONText.pretty(result)
    case .table:
      let rate = result.seconds > 0 ? ", \(Quantity.bytes(UInt64(Double(result.byteCount) / result.seconds)))/s" : ""
      return "\(PrintableText.quoted(result.path)): \(Quantity.bytes(result.byteCount))\(rate)\n"
    }
  }

  /// One line per event in both formats.
  public func event(_ event: Event) -> String {
    switch format {
    case .json: return JSONText.line(event)
    case .table:
      let time = style.paint(event.time.description, .faint)
      let kind = event.kind.rawValue
      let padded = kind + String(repeating: " ", count: max(0, 9 - kind.count))
      let tone: TextStyle.Tone? =
        switch event.kind {
        case .panic: .bad
        case .refusal: .warning
        default: nil
        }
      return "\(time)  \(style.paint(PrintableText.quoted(padded), tone))  \(PrintableText.quoted(event.message))\n"
    }
  }
}
