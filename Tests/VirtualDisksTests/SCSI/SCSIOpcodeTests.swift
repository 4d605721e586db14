// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@testable import VirtualDisks

/// Whatever a guest sends: an end with a status, requests inside the drive, data inside the buffer.
@Suite struct SCSIOpcodeTests {
  /// SplitMix64.
  struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  static func check(_ bench: inout SCSIBench, _ bytes: [UInt8], room: Int, sending: [UInt8]) {
    bench.requests = []
    let answer = bench.run(bytes, room: room, sending: sending)
    #expect(answer.data.count <= room, "\(bytes)")
    #expect((answer.status == .checkCondition) == (answer.sense != nil), "\(bytes)")
    let size = bench.unit.characteristics.byteCount
    let sector = bench.unit.characteristics.logicalSectorSize
    for request in bench.requests {
      #expect(request.byteCount % UInt64(sector) == 0 && request.byteOffset % UInt64(sector) == 0)
      #expect(bench.ejected || request.fits(in: size), "\(bytes)")
      #expect(request.bufferByteCount(sectorSize: sector) <= UInt64(room), "\(bytes)")
    }
  }

  @Test func everyFirstByte() {
    let lists = [[], Array(repeating: 0 as UInt8, count: 64), Array(repeating: 0xFF, count: 4096)]
    for code in UInt8.min...UInt8.max {
      for fill in [0, 1, 0x10, 0x55, 0xFF] as [UInt8] {
        for count in [1, 6, 10, 12, 16] {
          for list in lists {
            let bytes = [code] + Array(repeating: fill, count: count - 1)
            var disk = SCSIBench.disk(sectors: 3000)
            Self.check(&disk, bytes, room: list.count, sending: list)
            var dvd = SCSIBench.dvd(sectors: 3000)
            Self.check(&dvd, bytes, room: list.count, sending: list)
          }
        }
      }
    }
    // A command of no bytes is one of zeros.
    var disk = SCSIBench.disk()
    #expect(disk.run([]) == .good)
  }

  @Test(arguments: [(512, false), (512, true), (4096, false)] as [(UInt32, Bool)])
  func anyCommand(_ size: UInt32, _ readOnly: Bool) {
    var generator = Generator(state: UInt64(size) + (readOnly ? 1 : 0))
    var disk = SCSIBench.disk(sectors: 3000, logical: size, readOnly: readOnly)
    var dvd = SCSIBench.dvd(sectors: 3000)
    for _ in 0..<20_000 {
      var bytes = (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }
      // Mostly small numbers, so that many commands are sound.
      for index in 1..<16 where !UInt8.random(in: 0...3, using: &generator).isMultiple(of: 4) { bytes[index] &= 1 }
      let room = [0, 1, 512, 4096, 1 << 20].randomElement(using: &generator) ?? 0
      let list = (0..<min(room, 64)).map { _ in UInt8.random(in: 0...1, using: &generator) }
      let results: [DriveResult] = [
        .success, .failure(.readFailed), .failure(.noSpace, at: .max), .failure(.cancelled),
        .failure(.outOfRange, at: 0),
      ]
      disk.results = [results.randomElement(using: &generator) ?? .success]
      Self.check(&disk, bytes, room: room, sending: list)
      dvd.results = disk.results
      if !dvd.ejected { Self.check(&dvd, bytes, room: room, sending: list) }
      if dvd.ejected {
        dvd.ejected = false
        dvd.change(dvd: { $0.insert(byteCount: 3000 * 2048) })
      }
    }
  }
}
