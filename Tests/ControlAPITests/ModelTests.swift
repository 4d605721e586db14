// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ControlAPI

@Suite struct ModelTests {
  private func roundTrip<Value: Codable & Equatable>(_ value: Value) throws {
    #expect(try StrictJSON.decodeAnswer(Value.self, from: StrictJSON.encode(value)) == value)
  }

  @Test func everyModelSurvivesItsJSON() throws {
    try roundTrip(Sample.machine)
    try roundTrip(Sample.crash)
    try roundTrip(Sample.disks)
    try roundTrip(Sample.ideDisks)
    for disk in Sample.ideDisks { #expect(disk.controller == nil && disk.lun == nil) }
    try roundTrip(Sample.nics)
    try roundTrip(Event(sequence: 1, time: Sample.time, kind: .panic, message: "x", details: ["a": "b"]))
    try roundTrip(ControlError(.busy, "m", remedy: "r"))
    try roundTrip(ControlError(ControlError.Code(rawValue: "of a newer server"), "m"))
    try roundTrip(KeyValueItem(pool: .auto, key: "OSName", value: "Debian", kind: .string))
    try roundTrip(AdapterAddresses(adapter: "{x}", dhcp: true))
    try roundTrip(FileCopyResult(path: "/a", byteCount: .max, seconds: 0.25))
    try roundTrip(SnapshotStatus(supported: true, frozen: true, thawsAt: Sample.time))
  }

  @Test func addressesOfDisksAreWrittenInOneWay() {
    #expect(DiskAddress("0:1") == DiskAddress(controller: 0, lun: 1))
    #expect(DiskAddress("3:63")?.description == "3:63")
    for text in [
      "", "1", "0:", ":1", "4:0", "0:64", "-1:0", "0:+1", "00:1", "0:01", "0:1:2", "a:b", "0: 1", "ide", "ide:0",
    ] {
      #expect(DiskAddress(text) == nil, "\(text)")
    }
    for place in IDEPlace.allCases {
      let address = DiskAddress.ide(place)
      #expect(DiskAddress(address.description) == address)
      #expect(DiskAddress(controller: "ide", unit: place.rawValue) == address)
      #expect(address.target == "ide/\(place.rawValue)" && address.details == ["position": place.rawValue])
    }
    #expect(DiskAddress(controller: "3", unit: "63")?.target == "3/63")
    #expect(DiskAddress(controller: "ide", unit: "0") == nil)
    #expect(DiskAddress(controller: "0", unit: "primary-master") == nil)
  }

  @Test func timesAreRFC3339InMilliseconds() throws {
    #expect(Sample.time.description == "2026-03-01T12:30:45.678Z")
    #expect(Timestamp("2026-03-01T12:30:45.678Z") == Sample.time)
    #expect(Timestamp("yesterday") == nil)
    #expect(Timestamp(nanoseconds: 0).description == "1970-01-01T00:00:00.000Z")
    let now = Timestamp.now
    #expect(abs(Double(now.nanoseconds) / 1e9 - Date().timeIntervalSince1970) < 5)
  }

  @Test func crashParametersAreHexadecimalText() {
    #expect(Sample.crash.parameters[1] == "0xffffffff81000000")
  }

  @Test func everyErrorHasAStatusAndAnExitCode() {
    #expect(ControlError.Code.notRunning.exitCode == .notRunning)
    #expect(ControlError.Code.timedOut.httpStatus == 504)
    #expect(ControlError.Code(rawValue: "new").httpStatus == 500)
    #expect(Set(ExitStatus.allCases.map(\.meaning)).count == ExitStatus.allCases.count)
  }

  @Test func theEventLogIsBounded() async throws {
    let log = EventLog()
    let stream = try log.follow(since: nil)
    for index in 0..<5000 { log.record(.refusal, "\(index)") }
    #expect(log.past().count <= EventLog.capacity)
    #expect(log.past().last?.sequence == 5000)
    log.finish()
    var seen: [UInt64] = []
    for await event in stream { seen.append(event.sequence) }
    #expect(seen.count <= EventLog.capacity + EventLog.readerCapacity && seen.last == 5000)
    var after: [UInt64] = []
    for await event in try log.follow(since: 4990) { after.append(event.sequence) }
    #expect(after == Array(4991...5000))
  }

  @Test func theConsoleKeepsItsTail() async throws {
    let hub = ConsoleHub { _ in }
    for index in 0..<1000 { hub.publish([UInt8](repeating: UInt8(index & 0xff), count: 1024)) }
    hub.finish()
    var seen: [UInt8] = []
    for await bytes in try hub.attach(replay: true) { seen += bytes }
    #expect(seen.count == ConsoleHub.scrollbackBytes)
    #expect(seen.last == UInt8(999 & 0xff))
  }
}
