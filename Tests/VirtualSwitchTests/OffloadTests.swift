// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import VirtualSwitch

@Suite struct OffloadTests {
  func payload(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

  func frame(_ type: UInt16, _ packet: [UInt8]) -> [UInt8] {
    Frames.ethernet(to: Frames.address(2), from: Frames.address(1), type: type, payload: packet)
  }

  /// What a receiver without offloads gets.
  func delivered(_ bytes: [UInt8], _ offloads: FrameOffloads) -> (frames: [[UInt8]], drop: DropReason?) {
    let fallback = OffloadFallback()
    var frames: [[UInt8]] = []
    let drop = FrameView.with(bytes, offloads: offloads) { view in
      fallback.deliver(view) { frame in
        #expect(frame.offloads == .none)
        frames.append(frame.bytes)
        return true
      }
    }
    return (frames, drop)
  }

  func prepared(_ bytes: [UInt8]) throws -> ([UInt8], FrameOffloads.Checksum) {
    var bytes = bytes
    let count = bytes.count
    let checksum = unsafe bytes.withUnsafeMutableBytes { unsafe ChecksumCompletion.prepare($0, byteCount: count) }
    return (bytes, try #require(checksum))
  }

  @Test func sumsAsRFC1071Says() {
    // The example of RFC 1071, section 3.
    let example: [UInt8] = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]
    var sum = InternetChecksum()
    unsafe example.withUnsafeBytes { unsafe sum.add($0) }
    #expect(sum.folded == 0xddf2)
    for count in 0..<70 {
      let bytes = payload(count)
      var sum = InternetChecksum()
      unsafe bytes.withUnsafeBytes { unsafe sum.add($0) }
      #expect(sum.value == Frames.reference([bytes]))
    }
  }

  @Test(arguments: [0, 1, 2, 3, 100, 1447, 1448])
  func finishesChecksums(_ count: Int) throws {
    for packet in [
      frame(0x0800, Frames.ip4(6, Frames.tcp(payload(count)))),
      frame(0x86dd, Frames.ip6(6, Frames.tcp(payload(count)))),
      frame(0x0800, Frames.ip4(17, Frames.udp(payload(count)))),
      frame(0x86dd, Frames.ip6(17, Frames.udp(payload(count)))),
    ] {
      let (bytes, checksum) = try prepared(packet)
      let (frames, drop) = delivered(bytes, FrameOffloads(checksum: checksum))
      #expect(drop == nil)
      #expect(frames.count == 1)
      #expect(frames.allSatisfy(Frames.isSound))
    }
  }

  @Test func aZeroOfUDPIsNotNone() throws {
    // A payload that makes the sum 0xffff, whose complement would say that there is no checksum.
    let zero = frame(0x0800, Frames.ip4(17, Frames.udp([0, 0])))
    let (bytes, checksum) = try prepared(zero)
    let sum = delivered(bytes, FrameOffloads(checksum: checksum)).frames[0][40..<42]
    let (again, second) = try prepared(frame(0x0800, Frames.ip4(17, Frames.udp(Array(sum)))))
    let frames = delivered(again, FrameOffloads(checksum: second)).frames
    #expect(Array(frames[0][40..<42]) == [0xff, 0xff])
    #expect(Frames.isSound(frames[0]))
  }

  @Test(arguments: [1, 100, 1448, 1449, 8948, 2896, 64_000])
  func cutsTCP(_ count: Int) throws {
    let data = payload(count)
    for (type, segmentation) in [
      (UInt16(0x0800), FrameOffloads.Segmentation.tcp4(ecn: true)), (0x86dd, .tcp6(ecn: true)),
    ] {
      // FIN, PSH, ACK, CWR.
      let segment = Frames.tcp(data, flags: 0x99)
      let packet = type == 0x0800 ? Frames.ip4(6, segment) : Frames.ip6(6, segment)
      let (bytes, checksum) = try prepared(frame(type, packet))
      let offloads = FrameOffloads(
        checksum: checksum, segmentation: segmentation, segmentSize: 1448, headerLength: type == 0x0800 ? 66 : 86)
      let (frames, drop) = delivered(bytes, offloads)
      #expect(drop == nil)
      #expect(frames.count == (count + 1447) / 1448)
      let start = type == 0x0800 ? 34 : 54
      var whole: [UInt8] = []
      for (index, segment) in frames.enumerated() {
        #expect(Frames.isSound(segment))
        let number = segment[start + 4..<start + 8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        #expect(number == 0xffff_fff0 &+ UInt32(whole.count))
        let isLast = index == frames.count - 1
        #expect(segment[start + 13] == (index == 0 ? 0x80 : 0) | 0x10 | (isLast ? 0x09 : 0))
        if type == 0x0800 {
          #expect(Int(segment[16]) << 8 | Int(segment[17]) == segment.count - 14)
          #expect(Int(segment[18]) << 8 | Int(segment[19]) == 0x1234 + index)
        } else {
          #expect(Int(segment[18]) << 8 | Int(segment[19]) == segment.count - 54)
        }
        whole += segment[(start + 32)...]
      }
      #expect(whole == data)
    }
  }

  @Test func cutsUDP() throws {
    let data = payload(5000)
    for (type, start) in [(UInt16(0x0800), 34), (0x86dd, 54)] {
      let packet = type == 0x0800 ? Frames.ip4(17, Frames.udp(data)) : Frames.ip6(17, Frames.udp(data))
      let (bytes, checksum) = try prepared(frame(type, packet))
      let offloads = FrameOffloads(checksum: checksum, segmentation: .udp, segmentSize: 1400)
      let (frames, drop) = delivered(bytes, offloads)
      #expect(drop == nil)
      #expect(frames.map(\.count) == [1400, 1400, 1400, 800].map { $0 + start + 8 })
      #expect(frames.allSatisfy(Frames.isSound))
      #expect(frames.flatMap { Array($0[(start + 8)...]) } == data)
      #expect(frames.allSatisfy { Int($0[start + 4]) << 8 | Int($0[start + 5]) == $0.count - start })
    }
  }

  @Test func refusesWhatDoesNotFit() throws {
    let (tcp, checksum) = try prepared(frame(0x0800, Frames.ip4(6, Frames.tcp(payload(3000)))))
    func drop(_ segmentation: FrameOffloads.Segmentation, _ bytes: [UInt8], size: UInt16 = 1000) -> DropReason? {
      delivered(bytes, FrameOffloads(checksum: checksum, segmentation: segmentation, segmentSize: size)).drop
    }
    #expect(drop(.tcp4(ecn: false), tcp) == nil)
    #expect(drop(.tcp6(ecn: false), tcp) == .malformed)
    #expect(drop(.udp, tcp) == .malformed)
    #expect(drop(.udpFragments, tcp) == .unsupportedOffload)
    #expect(drop(.tcp4(ecn: false), tcp, size: 0) == .malformed)
    // Thousands of tiny segments are an attack.
    #expect(drop(.tcp4(ecn: false), tcp, size: 1) == .malformed)
    // Nothing behind the header, a header that is longer than the frame, a fragment, not IP at all.
    #expect(drop(.tcp4(ecn: false), Array(tcp[..<66])) == .malformed)
    var changed = tcp
    changed[34 + 12] = 0x10
    #expect(drop(.tcp4(ecn: false), changed) == .malformed)
    changed = tcp
    changed[20] = 0x20
    #expect(drop(.tcp4(ecn: false), changed) == .malformed)
    changed = tcp
    changed[12] = 0x09
    #expect(drop(.tcp4(ecn: false), changed) == .malformed)
  }

  /// Bytes at random where the headers are: nothing traps, and no segment is longer than it may be.
  @Test func survivesRandomHeaders() throws {
    var random = SwitchWalkTests.Random(state: 99)
    let (tcp, checksum) = try prepared(frame(0x0800, Frames.ip4(6, Frames.tcp(payload(3000)))))
    for _ in 0..<3000 {
      var bytes = Array(tcp[..<Int.random(in: 0...tcp.count, using: &random)])
      for _ in 0..<Int.random(in: 0..<5, using: &random) where !bytes.isEmpty {
        let place = Int.random(in: 0..<min(70, bytes.count), using: &random)
        bytes[place] = UInt8.random(in: 0...255, using: &random)
      }
      let size = UInt16.random(in: 0...2000, using: &random)
      let segmentation: FrameOffloads.Segmentation = Bool.random(using: &random) ? .tcp4(ecn: false) : .udp
      let offloads = FrameOffloads(checksum: checksum, segmentation: segmentation, segmentSize: size)
      let (frames, _) = delivered(bytes, offloads)
      #expect(frames.allSatisfy { $0.count <= Int(size) + Segmentation.maximumHeader })
    }
  }
}
