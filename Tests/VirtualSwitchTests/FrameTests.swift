// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import VirtualSwitch

@Suite struct FrameTests {
  @Test(arguments: ["00:15:5d:01:02:03", "00-15-5D-01-02-03", "00155d010203"])
  func readsAddresses(_ text: String) throws {
    let address = try #require(MACAddress(text))
    #expect(address.description == "00:15:5d:01:02:03")
  }

  @Test(arguments: [
    "", "00:15:5d:01:02", "00:15:5d:01:02:03:04", "00:15:5d:01:02:0g", "00:15-5d:01:02:03", "0:15:5d:01:02:03",
    "00:15:5d:01:0203", "00155d01020", "00155d0102030", ":00155d010203", "001:55d:01:02:03",
  ])
  func refusesOtherTexts(_ text: String) { #expect(MACAddress(text) == nil) }

  @Test func knowsWhoMaySend() {
    #expect(!MACAddress.zero.isUsable)
    #expect(!MACAddress.broadcast.isUsable)
    #expect(MACAddress("01:00:5e:00:00:01")?.isUsable == false)
    #expect(Frames.address(1).isUsable)
  }

  @Test(arguments: [
    ("1", "1"), ("1-10,20", "1-10,20"), ("20,1-10,5", "1-10,20"), ("1-4094", "1-4094"), ("1,2,3", "1-3"),
    ("4094", "4094"), ("10, 20", "10,20"),
  ])
  func readsTrunks(_ text: String, _ printed: String) throws {
    let set = try #require(VLANSet(text))
    #expect(set.description == printed)
    #expect(VLANSet(set.ids) == set)
    var bytes: [UInt8] = []
    set.write(to: &bytes)
    #expect(bytes.count == 512)
    #expect(VLANSet(bits: bytes[...]) == set)
  }

  @Test(arguments: [
    "", "0", "4095", "10-1", "1-", "-5", "1,,2", "a", "1-2-3", "1;2", "1-5000", "+1", "99999999999999999999",
  ])
  func refusesOtherTrunks(_ text: String) { #expect(VLANSet(text) == nil) }

  @Test func numbersOfVLANs() {
    #expect(VLANID(0) == nil)
    #expect(VLANID(4095) == nil)
    #expect(VLANID(-1) == nil)
    #expect(VLANID(4094)?.rawValue == 4094)
    #expect(VLANSet.all.count == 4094)
  }

  @Test func virtioHeadersGoRound() throws {
    for checksum in [FrameOffloads.Checksum.none, .verified, .needed(start: 34, offset: 16)] {
      for segmentation in [
        FrameOffloads.Segmentation.none, .tcp4(ecn: false), .tcp4(ecn: true), .tcp6(ecn: false), .tcp6(ecn: true), .udp,
        .udpFragments,
      ] {
        let offloads = FrameOffloads(
          checksum: checksum, segmentation: segmentation, segmentSize: segmentation == .none ? 0 : 1448,
          headerLength: 66)
        let bytes = VirtioNetHeader(offloads).bytes
        let array = bytes.indices.map { bytes[$0] }
        let decoded = unsafe VirtioNetHeader(decoding: array.span.bytes)
        #expect(decoded?.offloads == offloads)
      }
    }
  }

  /// linux/virtio_net.h: flags, gso type, header length, gso size, checksum start and offset.
  @Test func virtioHeaderAsTheKernelHasIt() {
    let offloads = FrameOffloads(
      checksum: .needed(start: 34, offset: 16), segmentation: .tcp4(ecn: true), segmentSize: 1448, headerLength: 66)
    let bytes = VirtioNetHeader(offloads).bytes
    #expect(bytes.indices.map { bytes[$0] } == [1, 0x81, 66, 0, 0xa8, 0x05, 34, 0, 16, 0])
  }

  @Test func virtioHeadersOfOthersAreRefused() {
    for type in [UInt8(2), 6, 0x7f] {
      let bytes: [UInt8] = [0, type, 0, 0, 0, 0, 0, 0, 0, 0]
      let header = unsafe VirtioNetHeader(decoding: bytes.span.bytes)
      #expect(header == nil)
    }
    let short = [UInt8](repeating: 0, count: 9)
    let header = unsafe VirtioNetHeader(decoding: short.span.bytes)
    #expect(header == nil)
  }

  @Test func offloadsMustLieInTheFrame() {
    let sound = FrameOffloads(checksum: .needed(start: 34, offset: 16))
    #expect(sound.fits(52))
    #expect(!sound.fits(51))
    #expect(!FrameOffloads(checksum: .needed(start: 65535, offset: 65535)).fits(65_557))
    #expect(!FrameOffloads(checksum: .needed(start: 13, offset: 0)).fits(100))
    #expect(!FrameOffloads(segmentation: .tcp4(ecn: false), segmentSize: 0).fits(100))
    // To be cut, and nobody may finish the checksum of the pieces.
    #expect(!FrameOffloads(segmentation: .tcp4(ecn: false), segmentSize: 10).fits(100))
    #expect(sound.shifted(by: 4).checksum == .needed(start: 38, offset: 16))
    #expect(sound.shifted(by: -4).checksum == .needed(start: 30, offset: 16))
  }

  @Test(arguments: [
    ("8080:80", "tcp:8080:80"), ("udp:53:5353", "udp:53:5353"), ("tcp:127.0.0.1:22:22", "tcp:127.0.0.1:22:22"),
    ("127.0.0.1:2222:22", "tcp:127.0.0.1:2222:22"),
  ])
  func readsForwardings(_ text: String, _ printed: String) { #expect(PortForwarding(text)?.description == printed) }

  @Test(arguments: [
    "", "80", "0:80", "80:0", "80:65536", "a:b", "sctp:1:2", "1.2.3:1:2", "1.2.3.400:1:2", "tcp:1:2:3:4",
  ])
  func refusesOtherForwardings(_ text: String) { #expect(PortForwarding(text) == nil) }
}
