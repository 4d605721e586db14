// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import VMBus
import VirtualDisks

@testable import VirtualMachine

/// Several drives without space on the host, on whatever controllers: the machine stands still from the first to the last.
@Suite struct SpaceWatchTests {
  private final class News: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    /// What came since the last look.
    func take() -> [String] {
      lines.withLock { lines in
        defer { lines = [] }
        return lines
      }
    }
  }

  private static func drive(_ name: String) -> Drive {
    Drive(name: name, medium: nil, characteristics: .dvd(identifier: GUID(1, 2, 3, 4, 5)))
  }

  @Test func theMachineGoesOnWithTheLastDrive() {
    let news = News()
    let watch = SpaceWatch { news.add("\($1) \($0 ? "waits" : "goes on")") }
    let (scsi, ide) = (Self.drive("scsi0:0"), Self.drive("primary-master"))
    watch.driveWaitsForSpace(scsi)
    watch.driveWaitsForSpace(ide)
    #expect(news.take() == ["scsi0:0 waits"])
    #expect(watch.isWaiting(scsi) && watch.isWaiting(ide))
    watch.driveHasSpace(scsi)
    #expect(news.take() == [])
    #expect(!watch.isWaiting(scsi) && watch.isWaiting(ide))
    // Again, while the other one still waits.
    watch.driveWaitsForSpace(scsi)
    watch.driveHasSpace(scsi)
    #expect(news.take() == [])
    watch.driveHasSpace(ide)
    #expect(news.take() == ["primary-master goes on"])
    #expect(!watch.isWaiting(scsi) && !watch.isWaiting(ide))
  }

  @Test func newsThatRepeatOrCrossDoNoHarm() {
    let news = News()
    let watch = SpaceWatch { news.add("\($1) \($0 ? "waits" : "goes on")") }
    // Two drives of one name are two drives.
    let (first, second) = (Self.drive("disk"), Self.drive("disk"))
    watch.driveHasSpace(first)
    watch.driveWaitsForSpace(first)
    watch.driveWaitsForSpace(first)
    watch.driveWaitsForSpace(second)
    watch.driveHasSpace(second)
    watch.driveHasSpace(second)
    #expect(news.take() == ["disk waits"])
    watch.driveHasSpace(first)
    #expect(news.take() == ["disk goes on"])
  }
}
