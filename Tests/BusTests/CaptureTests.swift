// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import VMBus
import VMBusHost

/// What stock Linux really said, said again: every message of the guest is read and written back unchanged, and the
/// server's part of the conversation comes out byte for byte as it did then.
@Suite struct CaptureTests {
  struct Line {
    var isGuests: Bool
    /// The connection of a guest's message, the processor of a host's.
    var target: UInt32
    var payload: [UInt8]
  }

  struct Capture: Sendable, CustomTestStringConvertible {
    var name: String
    var cap: ProtocolVersion
    var testDescription: String { name }
  }

  static let captures = [
    Capture(name: "linux-6.12-vmbus-5.3", cap: .v5_3), Capture(name: "linux-6.1-vmbus-4.0", cap: .v4_0),
  ]

  static func lines(_ name: String) throws -> [Line] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Captures")
    let text = try String(contentsOf: folder.appendingPathComponent("\(name).txt"), encoding: .utf8)
    return try text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let parts = line.split(separator: " ")
      try #require(parts.count == 3)
      let digits = parts[2].compactMap { $0.hexDigitValue }
      return Line(
        isGuests: parts[0] == "G", target: try #require(UInt32(parts[1])),
        payload: stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
    }
  }

  @Test(arguments: captures) func everyMessageIsReadAndWrittenBackUnchanged(_ capture: Capture) throws {
    for line in try Self.lines(capture.name) {
      #expect(try Self.rewritten(line) == line.payload)
    }
  }

  private static func rewritten(_ line: Line) throws(MessageError) -> [UInt8] {
    let bytes = unsafe line.payload.span.bytes
    let buffer = line.isGuests ? try GuestMessage(decoding: bytes).encoded : try HostMessage(decoding: bytes).encoded
    return unsafe buffer.bytes.withUnsafeBytes { unsafe Array($0) }
  }

  @Test(arguments: captures) func theServerSaysAgainWhatItSaid(_ capture: Capture) throws {
    let lines = try Self.lines(capture.name)
    var guest = ScriptedGuest(maximumVersion: capture.cap, memory: [0..<0x100_0000])
    // The devices, in the order in which they were offered; what the host does later is in its messages.
    var offers = try lines.prefix { $0.payload != HostMessage.allOffersDelivered(AllOffersDelivered()).payload }
      .compactMap(Self.offer)
    for offer in offers { _ = try guest.server.offer(offer) }
    for line in lines {
      if line.isGuests {
        // Linux tries four versions on a port that a host below 5.0 doesn't have.
        let hasPort = line.target == 1 || capture.cap.usesMessageConnection
        let status = guest.send(bytes: line.payload, on: ConnectionID(line.target))
        #expect(status == (hasPort ? .success : .invalidConnectionID))
        for case .openChannel(let opening) in guest.takeEffects() {
          guest.server.openCompleted(opening.ticket, success: true)
        }
        continue
      }
      if guest.server.nextMessage() == nil {
        if let channel = try Self.rescinded(line) { try guest.rescind(channel.rawValue) }
        if let offer = try Self.offer(line) {
          _ = try guest.server.offer(offer)
          offers.append(offer)
        }
      }
      let message = try #require(guest.server.nextMessage(), "silence instead of \(line.payload)")
      #expect(message.targetVP.rawValue == line.target)
      #expect(message.message.payload == line.payload)
      guest.server.removeFirstMessage()
    }
    #expect(guest.server.nextMessage() == nil)
    #expect(offers.count > 6, "no service was switched off and on")
    // A guest of good will is refused nothing, except a version above the cap.
    let isCapped = capture.cap < .v5_3
    for refusal in BusRefusal.allCases where guest.count(refusal) > 0 {
      #expect(isCapped && [.wrongConnection, .unsupportedVersion].contains(refusal), "\(refusal)")
    }
  }

  private static func offer(_ line: Line) throws -> OfferDescription? {
    guard !line.isGuests, case .offer(let offer) = try HostMessage(decoding: unsafe line.payload.span.bytes) else {
      return nil
    }
    return OfferDescription(
      classID: offer.classID, instanceID: offer.instanceID, flags: offer.flags,
      pipeMode: offer.flags.contains(.namedPipe)
        ? PipeMode(rawValue: UInt32(truncatingIfNeeded: offer.userData.words[0])) : nil)
  }

  private static func rescinded(_ line: Line) throws -> ChannelID? {
    guard case .rescind(let rescind) = try HostMessage(decoding: unsafe line.payload.span.bytes) else { return nil }
    return rescind.channel
  }
}

extension HostMessage {
  fileprivate var payload: [UInt8] { unsafe encoded.bytes.withUnsafeBytes { unsafe Array($0) } }
}
