// SPDX-License-Identifier: Apache-2.0

/// Who is at the ports of a switch.
///
/// Frames of several senders concern the same few ports at once. Counting references to what is there would be a write to
/// memory that all of them share, several for each frame; so `lend` gives it uncounted, for as long as nobody can change
/// the table.
@safe struct SlotTable: ~Copyable {
  /// Good while the table stays as it is.
  @safe struct Lent {
    private let slot: Unmanaged<SwitchEngine.Slot>
    fileprivate init(_ slot: SwitchEngine.Slot) { unsafe self.slot = .passUnretained(slot) }

    var generation: UInt64 { unsafe slot._withUnsafeGuaranteedRef { $0.generation } }
    var capabilities: PortCapabilities { unsafe slot._withUnsafeGuaranteedRef { $0.capabilities } }
    /// Counted, for whoever is in no hurry.
    var kept: SwitchEngine.Slot { unsafe slot.takeUnretainedValue() }

    func accept(_ frame: FrameView, from sender: Int) -> Bool {
      unsafe slot._withUnsafeGuaranteedRef { $0.sink.accept(frame, from: sender) }
    }
    func endBurst(from sender: Int) { unsafe slot._withUnsafeGuaranteedRef { $0.sink.endBurst(from: sender) } }
  }

  private var slots = [SwitchEngine.Slot?](repeating: nil, count: Switch.maximumPorts)
  private var lent = InlineArray<64, Lent?>(repeating: nil)

  subscript(port: PortID) -> SwitchEngine.Slot? {
    get { slots[Int(port.rawValue)] }
    set {
      slots[Int(port.rawValue)] = newValue
      lent[Int(port.rawValue)] = newValue.map { Lent($0) }
    }
  }

  func lend(_ port: PortID) -> Lent? { lent[Int(port.rawValue)] }

  /// The port of this name.
  func port(named name: String) -> PortID? {
    slots.firstIndex { $0?.name == name }.map { PortID(rawValue: UInt8($0)) }
  }

  /// All ports there may be, ascending.
  var all: [(port: PortID, slot: SwitchEngine.Slot?)] {
    slots.enumerated().map { (PortID(rawValue: UInt8($0.offset)), $0.element) }
  }
}
