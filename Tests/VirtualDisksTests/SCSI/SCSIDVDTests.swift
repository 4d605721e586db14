// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@testable import VirtualDisks

@Suite struct SCSIDVDTests {
  private static let ready: [UInt8] = [0, 0, 0, 0, 0, 0]
  private static let poll: [UInt8] = [0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8, 0]
  private static let eject: [UInt8] = [0x1B, 0, 0, 0, 2, 0]
  private static let load: [UInt8] = [0x1B, 0, 0, 0, 3, 0]
  private static func lock(_ locked: Bool) -> [UInt8] { [0x1E, 0, 0, 0, locked ? 1 : 0, 0] }

  @Test func reads() {
    var dvd = SCSIBench.dvd(sectors: 1000)
    let expected = DriveRequest(.read, byteOffset: 20480, byteCount: 4096)
    #expect(dvd.requests(of: CDB.read10(10, 2)) == [expected])
    #expect(dvd.requests(of: [0xA8, 0] + big(10 as UInt32) + big(2 as UInt32) + [0, 0]) == [expected])
    #expect(dvd.requests(of: CDB.read16(10, 2)) == [expected])
    #expect(dvd.run(CDB.read10(999, 2)) == .check(.illegalRequest, .blockOutOfRange, information: 999))
    #expect(dvd.run(CDB.read16(.max, .max)) == .check(.illegalRequest, .blockOutOfRange, information: .max))
    #expect(dvd.run(CDB.read10(0, 2), room: 4095) == .invalid)
    #expect(dvd.run([0x25] + Array(repeating: 0, count: 9)).data == big(999 as UInt32) + big(2048 as UInt32))
    #expect(
      dvd.requests(of: [0x2F, 0] + big(1 as UInt32) + [0, 0, 1, 0]) == [
        DriveRequest(.verify, byteOffset: 2048, byteCount: 2048)
      ])
  }

  private static func readCD(_ block: UInt32, _ count: UInt8, kind: UInt8 = 0, fields: UInt8 = 0x10) -> [UInt8] {
    [0xBE, kind << 2] + big(block) + [0, 0, count, fields, 0, 0]
  }

  @Test func readsDataSectorsOfCDs() {
    var cd = SCSIBench.dvd(sectors: 1000)
    let expected = DriveRequest(.read, byteOffset: 20480, byteCount: 4096)
    for kind in [0, 2] as [UInt8] { #expect(cd.requests(of: Self.readCD(10, 2, kind: kind)) == [expected]) }
    #expect(cd.run(Self.readCD(10, 2)).outcome == .good(byteCount: 4096))
    #expect(cd.run(Self.readCD(10, 0)) == .good)
    // Nothing wanted: whether the sectors are there.
    #expect(cd.requests(of: Self.readCD(10, 2, fields: 0)) == [])
    #expect(cd.run(Self.readCD(10, 2, fields: 0)) == .good)
    let beyond = SCSIBench.Answer.check(.illegalRequest, .blockOutOfRange, information: 999)
    #expect(cd.run(Self.readCD(999, 2)) == beyond)
    #expect(cd.run(Self.readCD(999, 2, fields: 0)) == beyond)
    // Music, mode 2; whole sectors, headers alone, sub-channels.
    for kind in [1, 3, 4, 5, 6, 7] as [UInt8] {
      #expect(cd.run(Self.readCD(0, 1, kind: kind)) == .check(.illegalRequest, .illegalModeForTrack))
    }
    for fields in [0xF8, 0x78, 0x58, 0x20, 0x18, 0x12] as [UInt8] {
      #expect(cd.run(Self.readCD(0, 1, fields: fields)) == .invalidField)
    }
    #expect(cd.run([0xBE, 0, 0, 0, 0, 0, 0, 0, 1, 0x10, 1, 0]) == .invalidField)
    #expect(cd.run(Self.readCD(10, 2), room: 4095) == .invalid)
    // A DVD has no such sectors.
    var dvd = SCSIBench.dvd(sectors: 2_000_000)
    #expect(dvd.run(Self.readCD(10, 2)) == .check(.illegalRequest, .incompatibleMedium))
  }

  private static func structure(_ format: UInt8, _ allocation: UInt16, layer: UInt8 = 0, type: UInt8 = 0) -> [UInt8] {
    [0xAD, type, 0, 0, 0, 0, layer, format] + big(allocation) + [0, 0]
  }

  @Test func structures() {
    var dvd = SCSIBench.dvd(sectors: 2_000_000)
    let physical = dvd.run(Self.structure(0, 0xFFFF)).data
    #expect(physical.count == 2052)
    let start = big(0x3_0000 as UInt32) + big(0x3_0000 + 1_999_999 as UInt32) + big(0 as UInt32)
    #expect(Array(physical.prefix(21)) == [0x08, 0x02, 0, 0] + [0x01, 0x0F, 0x01, 0x00] + start + [0])
    #expect(physical[21...].allSatisfy { $0 == 0 })
    // Linux asks for the header and 17 bytes.
    #expect(dvd.run(Self.structure(0, 21)).data == Array(physical.prefix(21)))
    #expect(dvd.run(Self.structure(1, 8)).data == [0, 6, 0, 0, 0, 0, 0, 0])
    #expect(dvd.run(Self.structure(0xFF, 255)).data == [0, 10, 0, 0, 0, 0x40, 8, 4, 1, 0x40, 0, 8])
    for format in [2, 3, 4, 0xC0] as [UInt8] { #expect(dvd.run(Self.structure(format, 255)) == .invalidField) }
    #expect(dvd.run(Self.structure(0, 255, layer: 1)) == .invalidField)
    #expect(dvd.run(Self.structure(0, 255, type: 1)) == .invalidField)
    // Longer than sector numbers reach.
    var large = SCSIBench.dvd(sectors: 1 << 40)
    #expect(Array(large.run(Self.structure(0, 21)).data[12..<16]) == [0, 0xFF, 0xFF, 0xFF])
    // A CD has none, an empty drive nothing at all.
    var cd = SCSIBench.dvd(sectors: 1000)
    #expect(cd.run(Self.structure(0, 255)) == .check(.illegalRequest, .incompatibleMedium))
    var empty = SCSIBench.dvd(sectors: 0)
    #expect(empty.run(Self.structure(0, 255)) == .check(.notReady, .mediumNotPresent))
    #expect(empty.run(Self.readCD(0, 1)) == .check(.notReady, .mediumNotPresent))
  }

  @Test func writingIsRefused() {
    var dvd = SCSIBench.dvd()
    #expect(dvd.run(CDB.write10(0, 1)) == .check(.dataProtect, .writeProtected))
    #expect(dvd.run(CDB.write16(0, 1)) == .check(.dataProtect, .writeProtected))
    for code in [0x42, 0x93, 0x04, 0x5B, 0xA1, 0x53] as [UInt8] {
      #expect(dvd.run([code] + Array(repeating: 0, count: 15)) == .invalidOperation)
    }
    #expect(dvd.requests.isEmpty)
  }

  /// A 650 MB disc is a CD, anything larger a DVD.
  @Test func configuration() {
    var cd = SCSIBench.dvd(sectors: 300_000)
    let all = cd.run([0x46, 0, 0, 0, 0, 0, 0, 1, 0, 0]).data
    #expect(Array(all.prefix(8)) == big(UInt32(all.count - 4)) + [0, 0, 0, 8])
    var dvd = SCSIBench.dvd(sectors: 2_000_000)
    #expect(Array(dvd.run([0x46, 0, 0, 0, 0, 0, 0, 0, 8, 0]).data[6...]) == [0, 0x10])
    var empty = SCSIBench.dvd(sectors: 0)
    #expect(Array(empty.run([0x46, 0, 0, 0, 0, 0, 0, 0, 8, 0]).data[6...]) == [0, 0])
    // One feature; and random writing and MRW, which Linux asks for and which are not there.
    let removable = dvd.run([0x46, 2, 0, 3, 0, 0, 0, 0, 255, 0]).data
    #expect(removable == big(12 as UInt32) + [0, 0, 0, 0x10] + [0, 3, 3, 4, 0x29, 0, 0, 0])
    for feature in [0x20, 0x28] as [UInt8] {
      #expect(dvd.run([0x46, 2, 0, feature, 0, 0, 0, 0, 16, 0]).data == big(4 as UInt32) + [0, 0, 0, 0x10])
    }
    // The features in order, each with its length.
    var at = 8
    var last = -1
    while at < all.count {
      let code = Int(all[at]) << 8 | Int(all[at + 1])
      #expect(code > last && all[at + 3] % 4 == 0)
      last = code
      at += 4 + Int(all[at + 3])
    }
    #expect(at == all.count && last == 0x1F)
    #expect(dvd.run([0x46, 3, 0, 0, 0, 0, 0, 0, 8, 0]) == .invalidField)
  }

  @Test func tableOfContents() {
    var dvd = SCSIBench.dvd(sectors: 1000)
    func toc(_ format: UInt8, track: UInt8 = 0, time: Bool = false) -> SCSIBench.Answer {
      dvd.run([0x43, time ? 2 : 0, format, 0, 0, 0, track, 0, 255, 0])
    }
    #expect(
      toc(0).data == [0, 18, 1, 1] + [0, 0x14, 1, 0, 0, 0, 0, 0] + [0, 0x14, 0xAA, 0] + big(1000 as UInt32))
    // 1000 + 150 frames of 1/75 s: 15 s and 25 frames.
    #expect(toc(0, track: 0xAA, time: true).data == [0, 10, 1, 1] + [0, 0x14, 0xAA, 0, 0, 0, 15, 25])
    #expect(toc(1).data == [0, 10, 1, 1] + [0, 0x14, 1, 0, 0, 0, 0, 0])
    let raw = toc(2).data
    #expect(raw.count == 4 + 4 * 11 && raw[1] == 46)
    #expect([raw[7], raw[18], raw[29], raw[40]] == [0xA0, 0xA1, 0xA2, 1])
    #expect(toc(0, track: 2) == .invalidField)
    for format in 3..<16 as Range<UInt8> { #expect(toc(format) == .invalidField) }
    // The format's old place.
    #expect(dvd.run([0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0x40]).data.count == 12)
    // Larger than a CD's times can say: still an answer.
    var large = SCSIBench.dvd(sectors: 1 << 40)
    #expect(large.run([0x43, 2, 0, 0, 0, 0, 0, 0, 255, 0]).status == .good)
  }

  @Test func discAndTrack() {
    var dvd = SCSIBench.dvd(sectors: 1000)
    let disc = dvd.run([0x51, 0, 0, 0, 0, 0, 0, 0, 255, 0]).data
    #expect(disc.count == 34 && Array(disc.prefix(7)) == [0, 32, 0x0E, 1, 1, 1, 1])
    #expect(dvd.run([0x51, 1, 0, 0, 0, 0, 0, 0, 255, 0]) == .invalidField)
    let track = dvd.run([0x52, 1] + big(1 as UInt32) + [0, 0, 255, 0]).data
    // cdrom_get_last_written: size at 24, last recorded at 28 with LRA_V.
    #expect(track.count == 36 && track[7] & 2 != 0)
    #expect(Array(track[24..<32]) == big(1000 as UInt32) + big(999 as UInt32))
    #expect(dvd.run([0x52, 1] + big(2 as UInt32) + [0, 0, 255, 0]) == .invalidField)
    #expect(dvd.run([0x52, 0] + big(1000 as UInt32) + [0, 0, 255, 0]) == .invalidField)
  }

  @Test func capabilities() {
    var dvd = SCSIBench.dvd()
    // As sr asks: page 2Ah in 6 bytes.
    let page = dvd.run([0x1A, 0, 0x2A, 0, 128, 0]).data
    #expect(page.count == 26 && page[0] == 25 && page[4] == 0x2A && page[5] == 20)
    // Reads CD-R, CD-RW, DVD; writes nothing; tray.
    #expect(page[6] == 0x0B && page[7] == 0 && page[10] >> 5 == 1)
    #expect(page[10] & 2 == 0)
    #expect(dvd.run(Self.lock(true)) == .good)
    #expect(dvd.run([0x1A, 0, 0x2A, 0, 128, 0]).data[10] & 2 != 0)
    let long = dvd.run([0x5A, 0, 0x3F, 0, 0, 0, 0, 0, 255, 0]).data
    #expect(long.count == 8 + 12 + 22 && long[1] == 40)
    #expect(dvd.run([0x1A, 0, 0x0E, 0, 128, 0]) == .invalidField)
  }

  @Test func emptyDrive() {
    var dvd = SCSIBench.dvd(sectors: 0)
    let absent = SCSIBench.Answer.check(.notReady, .mediumNotPresent)
    #expect(dvd.run(Self.ready) == absent)
    #expect(dvd.run(CDB.read10(0, 1)) == absent)
    #expect(dvd.run([0x25] + Array(repeating: 0, count: 9)) == absent)
    #expect(dvd.run([0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0]) == absent)
    #expect(dvd.run([0x52, 1] + big(1 as UInt32) + [0, 0, 255, 0]) == absent)
    #expect(dvd.run(CDB.inquiry()).status == .good)
    #expect(dvd.run(Self.poll).data == [0, 6, 4, 0x10, 0, 0, 0, 0])
    #expect(Array(dvd.run([3, 0, 0, 0, 18, 0]).data[2...2]) == [2])
  }

  @Test func insertion() {
    var dvd = SCSIBench.dvd(sectors: 0)
    dvd.change(dvd: { $0.insert(byteCount: 100 * 2048 + 17) })
    #expect(dvd.run(Self.poll).data == [0, 6, 4, 0x10, 2, 2, 0, 0])
    #expect(dvd.run(Self.poll).data == [0, 6, 4, 0x10, 0, 2, 0, 0])
    #expect(dvd.run(Self.ready) == .check(.unitAttention, .mediumMayHaveChanged))
    #expect(dvd.run(Self.ready) == .good)
    #expect(Array(dvd.run([0x25] + Array(repeating: 0, count: 9)).data.prefix(4)) == big(99 as UInt32))
  }

  @Test func guestEjects() {
    var dvd = SCSIBench.dvd()
    #expect(dvd.run(Self.lock(true)) == .good)
    #expect(dvd.run(Self.eject) == .check(.illegalRequest, .mediumRemovalPrevented))
    #expect(dvd.run(Self.lock(false)) == .good)
    #expect(dvd.run(Self.eject) == .good)
    #expect(dvd.ejected)
    #expect(dvd.run(Self.ready) == .check(.notReady, .mediumNotPresentTrayOpen))
    #expect(dvd.run(Self.poll).data == [0, 6, 4, 0x10, 3, 1, 0, 0])
    #expect(dvd.run(Self.load) == .good)
    #expect(dvd.run(Self.ready) == .check(.notReady, .mediumNotPresent))
    dvd.ejected = false
    #expect(dvd.run(Self.eject) == .good)
    #expect(!dvd.ejected)
  }

  @Test func hostEjects() {
    var dvd = SCSIBench.dvd()
    _ = dvd.run(Self.lock(true))
    var pressed = true
    dvd.change(dvd: { pressed = $0.requestEject() })
    #expect(!pressed)
    // The guest is asked; udev answers with an eject.
    #expect(dvd.run(Self.poll).data[4] == 1)
    _ = dvd.run(Self.lock(false))
    #expect(dvd.run(Self.eject) == .good && dvd.ejected)
    var other = SCSIBench.dvd()
    other.change(dvd: { pressed = $0.requestEject() })
    #expect(pressed)
    #expect(other.run(CDB.read10(0, 1)) == .check(.notReady, .mediumNotPresentTrayOpen))
    // By force, and another disc.
    var forced = SCSIBench.dvd()
    _ = forced.run(Self.lock(true))
    forced.change(dvd: {
      $0.removeDisc()
      $0.insert(byteCount: 4096)
    })
    #expect(forced.run(CDB.read10(0, 1)) == .check(.unitAttention, .mediumMayHaveChanged))
    #expect(forced.run(CDB.read10(0, 1)).status == .good)
  }

  /// Quirk `removable-attention`.
  @Test func mountedDiscIsLeftAlone() {
    var dvd = SCSIBench.dvd()
    dvd.unit.raise(.reportedUnitsChanged)
    dvd.unit.raise(.capacityChanged)
    #expect(dvd.run(CDB.read10(0, 1)).status == .good)
    dvd.unit.reset()
    #expect(dvd.run(CDB.read10(0, 1)) == .check(.unitAttention, .resetOccurred))
  }

  /// A kernel that crashed with a mounted disc does not keep the next one from putting it out.
  @Test func anotherKernelFindsTheDoorOpen() {
    var dvd = SCSIBench.dvd()
    dvd.change(dvd: { $0.insert(byteCount: 4096) })
    _ = dvd.run(Self.lock(true))
    dvd.unit.restart()
    #expect(dvd.run(Self.poll).data == [0, 6, 4, 0x10, 0, 2, 0, 0])
    #expect(dvd.run(Self.ready) == .good)
    #expect(dvd.run(Self.eject) == .good && dvd.ejected)
  }

  @Test func eventsNeedRoom() {
    var dvd = SCSIBench.dvd(sectors: 0)
    dvd.change(dvd: { $0.insert(byteCount: 4096) })
    #expect(dvd.run([0x4A, 0, 0, 0, 0x10, 0, 0, 0, 8, 0]) == .invalidField)
    #expect(dvd.run([0x4A, 1, 0, 0, 0x10, 0, 0, 0, 4, 0]).data == [0, 6, 4, 0x10])
    // No class that we have.
    #expect(dvd.run([0x4A, 1, 0, 0, 0x02, 0, 0, 0, 8, 0]).data == [0, 2, 0x80, 0x10])
    #expect(dvd.run(Self.poll).data[4] == 2)
  }
}
