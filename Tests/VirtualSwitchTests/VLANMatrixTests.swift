// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import VirtualSwitch

/// Every pair of modes, with every way in which a frame may be tagged: what arrives, as a table.
@Suite struct VLANMatrixTests {
  /// What a receiver gets.
  enum Arrival: Equatable, CustomStringConvertible {
    case nothing
    case plain
    case tagged(UInt16)
    var description: String {
      switch self {
      case .nothing: "-"
      case .plain: "plain"
      case .tagged(let tag): "tag \(tag & 0xfff) priority \(tag >> 13)"
      }
    }
  }

  static let ten = VLANID(rawValue: 10)
  static let modes: [(String, VLANMode)] = [
    ("untagged", .untagged),
    ("access 10", .access(ten)),
    ("access 20", .access(VLANID(rawValue: 20))),
    ("trunk 10,20 native none", .trunk(allowed: VLANSet("10,20") ?? VLANSet(), native: .none)),
    ("trunk 10,20 native 10", .trunk(allowed: VLANSet("10,20") ?? VLANSet(), native: ten)),
    ("trunk 20,30 native 10", .trunk(allowed: VLANSet("20,30") ?? VLANSet(), native: ten)),
  ]

  /// The tag of the frame that is sent: none, a priority tag (id 0, priority 5), ids 10, 20, 30 with priority 3, the
  /// reserved id.
  static let tags: [UInt16?] = [nil, 0xa000, 0x600a, 0x6014, 0x601e, 0x0fff]

  /// The VLAN that the frame is in (`nil`: refused) for each sender and tag, as 802.1Q and Hyper-V have it.
  static let classes: [[UInt16?]] = [
    [0, 0, nil, nil, nil, nil],
    [10, 10, nil, nil, nil, nil],
    [20, 20, nil, nil, nil, nil],
    [0, 0, 10, 20, nil, nil],
    [10, 10, 10, 20, nil, nil],
    [10, 10, 10, 20, 30, nil],
  ]

  /// How VLANs 0, 10, 20, 30 leave at each receiver: `nil` not, false without a tag, true with one.
  static let leaving: [[UInt16: Bool]] = [
    [0: false],
    [10: false],
    [20: false],
    [0: false, 10: true, 20: true],
    [10: false, 20: true],
    [10: false, 20: true, 30: true],
  ]

  @Test(arguments: 0..<6, 0..<6)
  func allPairs(_ sender: Int, _ receiver: Int) throws {
    for (index, tag) in Self.tags.enumerated() {
      for outOfBand in [false, true] {
        let expected: Arrival
        if let vlan = Self.classes[sender][index], let isTagged = Self.leaving[receiver][vlan] {
          expected = isTagged ? .tagged(vlan | (tag ?? 0) & 0xf000) : .plain
        } else {
          expected = .nothing
        }
        let got = try arrival(Self.modes[sender].1, Self.modes[receiver].1, tag, outOfBand: outOfBand)
        let way = "\(Self.modes[sender].0) → \(Self.modes[receiver].0), tag \(tag.map { "\($0)" } ?? "none")"
        #expect(got == expected, "\(way), beside the frame: \(outOfBand)")
      }
    }
  }

  /// Sends one broadcast and reads what would arrive, both with the tag in the bytes and beside them.
  private func arrival(_ from: VLANMode, _ to: VLANMode, _ tag: UInt16?, outOfBand: Bool) throws -> Arrival {
    var machine = Switch(seed: 1)
    let source = try machine.connect(PortSettings(vlan: from, allowsSpoofing: true))
    let target = try machine.connect(PortSettings(vlan: to, allowsSpoofing: true))
    let inBytes = outOfBand ? [] : tag.map { [$0] } ?? []
    let frame = Frames.ethernet(to: .broadcast, from: Frames.address(1), tags: inBytes)
    let beside = outOfBand ? tag.map { VLANTag(rawValue: $0) } : nil
    let forwarding = machine.forward(frame, tag: beside, from: source)
    #expect(!forwarding.ports.contains(source))
    #expect(machine.checkInvariants())
    guard forwarding.ports.contains(target) else { return .nothing }
    let arrivals = [false, true].map { takesBeside in
      let action = forwarding.action(for: target, outOfBand: takesBeside)
      return FrameView.with(frame, tag: beside) { view in
        FrameDelivery.apply(action, to: view) { Self.read($0, takesBeside) }
      }
    }
    #expect(arrivals[0] == arrivals[1])
    return arrivals[0]
  }

  private static func read(_ frame: FrameView, _ takesBeside: Bool) -> Arrival {
    let bytes = frame.bytes
    #expect(bytes.count == frame.byteCount)
    let untagged = Frames.ethernet(to: .broadcast, from: Frames.address(1))
    if takesBeside {
      #expect(bytes == untagged)
      return frame.tag.map { .tagged($0.rawValue) } ?? .plain
    }
    #expect(frame.tag == nil)
    if bytes == untagged { return .plain }
    let tag = UInt16(bytes[14]) << 8 | UInt16(bytes[15])
    #expect(bytes == Frames.ethernet(to: .broadcast, from: Frames.address(1), tags: [tag]))
    return .tagged(tag)
  }
}
