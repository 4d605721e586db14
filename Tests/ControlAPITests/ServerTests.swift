// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import ControlAPI

/// Each call, from our client through the socket to the machine.
@Suite struct ServerTests {
  @Test func describesTheMachine() async throws {
    try await Harness.run { harness in
      do {
        let answer = try await harness.client.describe()
        #expect(answer == Sample.machine)
      }
    }
  }

  @Test func pausesAndResumes() async throws {
    try await Harness.run { harness in
      try await harness.client.pause()
      do {
        let answer = try await harness.client.describe()
        #expect(answer.state == .paused)
      }
      await #expect(throws: ControlError(.wrongState, "cannot pause: the machine is paused")) {
        try await harness.client.pause()
      }
      try await harness.client.resume()
      try await harness.client.injectNMI()
      #expect(harness.machine.calls == ["pause", "resume", "nmi"])
    }
  }

  @Test func stopsAndRestarts() async throws {
    try await Harness.run { harness in
      try await harness.client.stop(StopRequest())
      try await harness.client.stop(StopRequest(mode: .shutdown, timeoutSeconds: 1.5))
      try await harness.client.stop(StopRequest(mode: .turnOff))
      try await harness.client.restart(RestartRequest())
      try await harness.client.restart(RestartRequest(mode: .reset))
      #expect(
        harness.machine.calls == [
          "shutDown 60.0 seconds", "shutDown 1.5 seconds", "turnOff", "reboot 60.0 seconds", "reset",
        ])
      await #expect(throws: ControlError.self) { try await harness.client.stop(StopRequest(timeoutSeconds: 0)) }
      await #expect(throws: ControlError.self) { try await harness.client.stop(StopRequest(timeoutSeconds: -1e300)) }
    }
  }

  @Test func changesDisks() async throws {
    try await Harness.run { harness in
      let client = harness.client
      let added = try await client.addDisk(DiskRequest(path: "/vms/data.vhdx", controller: 1, readOnly: true))
      #expect(added.address == DiskAddress(controller: 1, lun: 0) && added.readOnly && added.writeCache)
      let second = try await client.addDisk(
        DiskRequest(path: "/vms/raw", format: .raw, controller: 1, writeCache: false, sectorBytes: 4096))
      #expect(second.lun == 1 && second.logicalSectorBytes == 4096 && !second.writeCache)
      let resized = try await client.resizeDisk(at: second.address, to: 5 << 30)
      #expect(resized.sizeBytes == 5 << 30)
      let disks = try await client.disks()
      #expect(disks == [added, resized])
      try await client.removeDisk(at: added.address)
      #expect(await failure { try await client.removeDisk(at: added.address) } == .noDisk(at: added.address))
      let taken = await failure { try await client.addDisk(DiskRequest(path: "/x.vhd", controller: 1, lun: 1)) }
      #expect(taken?.code == .alreadyExists && taken?.code.exitCode == .alreadyExists)
    }
  }

  @Test func idesDrivesHaveTheirOwnPlaces() async throws {
    try await Harness.run { harness in
      let client = harness.client
      harness.machine.state.value.withLock { for disk in Sample.ideDisks { $0.disks[disk.address] = disk } }
      #expect(try await client.disks() == Sample.ideDisks)
      let (disk, drive) = (DiskAddress.ide(.primaryMaster), DiskAddress.ide(.secondaryMaster))
      #expect(try await client.resizeDisk(at: disk, to: 2 << 30).sizeBytes == 2 << 30)
      #expect(try await client.insertDisc(DiscRequest(path: "/d.iso"), at: drive).state == .attached)
      #expect(try await client.ejectDisc(at: drive, force: false).state == .empty)
      let refused = await failure { try await client.removeDisk(at: disk) }
      #expect(refused?.code == .wrongState && refused?.code.exitCode == .refused)
      let absent = DiskAddress.ide(.primarySlave)
      #expect(await failure { try await client.resizeDisk(at: absent, to: 1 << 30) } == .noDisk(at: absent))
      for target in ["/v1/disks/ide/0", "/v1/disks/ide/Primary-master", "/v1/disks/0/primary-master"] {
        let answer = try await RawClient.exchange(harness.socket, "GET \(target) HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(answer.status == 404, "\(target)")
      }
    }
  }

  @Test func changesDiscs() async throws {
    try await Harness.run { harness in
      let client = harness.client
      let drive = try await client.addDisk(DiskRequest(kind: .dvd, path: nil)).address
      let full = try await client.insertDisc(DiscRequest(path: "/vms/a b%.iso"), at: drive)
      #expect(full.state == .attached && full.path == "/vms/a b%.iso" && full.kind == .dvd)
      #expect(
        await failure { try await client.insertDisc(DiscRequest(path: "/b.iso"), at: drive) }?.code == .alreadyExists)
      harness.machine.state.value.withLock { _ = $0.locked.insert(drive) }
      let refused = await failure { try await client.ejectDisc(at: drive, force: false) }
      #expect(refused?.code == .wrongState && refused?.code.exitCode == .refused)
      let empty = try await client.ejectDisc(at: drive, force: true)
      #expect(empty.state == .empty && empty.path == nil)
    }
  }

  @Test func refusesDisksThatCannotBe() async throws {
    try await Harness.run { harness in
      for request in [
        DiskRequest(path: nil), DiskRequest(path: "relative.vhdx"), DiskRequest(path: ""), DiskRequest(path: "/a\0b"),
        DiskRequest(path: "/a", controller: 4), DiskRequest(path: "/a", controller: -1),
        DiskRequest(path: "/a", lun: 64),
        DiskRequest(path: "/a", sectorBytes: 520), DiskRequest(kind: .dvd, path: nil, readOnly: false),
        DiskRequest(kind: .dvd, path: "/a.iso", sectorBytes: 512),
      ] {
        #expect(await failure { try await harness.client.addDisk(request) }?.code == .badRequest, "\(request)")
      }
      let place = DiskAddress(controller: 0, lun: 0)
      let relative = await failure { try await harness.client.insertDisc(DiscRequest(path: "a.iso"), at: place) }
      #expect(relative?.code == .badRequest)
      for target in ["/v1/disks/4/0", "/v1/disks/0/64", "/v1/disks/-1/0", "/v1/disks/0/x", "/v1/disks/00/0"] {
        let answer = try await RawClient.exchange(harness.socket, "DELETE \(target) HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(answer.status == 404, "\(target)")
      }
      for body in [#"{"path":"/a","lun":1.5}"#, #"{"path":"/a","format":"qcow2"}"#, #"{"path":"/a","LUN":1}"#] {
        let answer = try await RawClient.exchange(
          harness.socket,
          "POST /v1/disks HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        #expect(answer.status == 400, "\(body)")
      }
      #expect(try await harness.client.disks() == [])
    }
  }

  @Test func changesNetworkAdapters() async throws {
    try await Harness.run { harness in
      let client = harness.client
      let first = try await client.addNIC(NICRequest(connection: "tap:tap0", mtu: 9000))
      #expect(first.name == "nic0" && first.maximumMTU == 9000 && first.link == .up)
      let second = try await client.addNIC(
        NICRequest(
          connection: "user", name: "a?b%#", mac: "02:00:00:00:00:01", vlan: "access 5", spoofing: true,
          isolated: true, routerGuard: true, dhcpGuard: true, channels: 2, monitored: true,
          forwards: ["tcp:2222:22"]))
      #expect(second.forwards == ["tcp:2222:22"] && second.vlan == "access 5" && second.dhcpGuard && second.monitored)
      #expect(try await client.nics() == [first, second])
      #expect(try await client.connectNIC("a?b%#", NICConnectionRequest(connection: "none")).link == .down)
      #expect(try await client.setLink(ofNIC: "nic0", .down).link == .down)
      #expect(try await client.setVLAN(ofNIC: "nic0", "trunk 1-10,20 native 1").vlan == "trunk 1-10,20 native 1")
      let capture = try await client.startCapture(ofNIC: "nic0", NICCaptureRequest(path: "/x", snapLength: 64))
      #expect(capture == AdapterCapture(path: "/x"))
      let again = await failure { try await client.startCapture(ofNIC: "nic0", NICCaptureRequest(path: "/y")) }
      #expect(again?.code == .wrongState && again?.code.exitCode == .refused)
      #expect(try await client.stopCapture(ofNIC: "nic0").path == "/x")
      #expect(await failure { try await client.stopCapture(ofNIC: "nic0") }?.code == .wrongState)
      let taken = await failure { try await client.addNIC(NICRequest(connection: "none", name: "nic0")) }
      #expect(taken?.code == .alreadyExists)
      try await client.removeNIC("a?b%#")
      let gone = await failure { try await client.removeNIC("a?b%#") }
      #expect(gone?.message == "no network adapter named \"a?b%#\"" && gone?.remedy == "there are nic0")
      try await client.removeNIC("nic0")
      let none = await failure { try await client.setVLAN(ofNIC: "nic0", "untagged") }
      #expect(none?.code == .notFound && none?.remedy?.contains("the machine has none") == true)
    }
  }

  @Test(arguments: [
    ("POST /v1/nics", "{}", "field \\\"connection\\\" is missing"),
    ("POST /v1/nics", #"{"connection":null}"#, "must be text, not null"),
    ("POST /v1/nics", #"{"connection":["user"]}"#, "must be text"),
    ("POST /v1/nics", #"{"connection":"user","mtu":"9000"}"#, "field \\\"mtu\\\""),
    ("POST /v1/nics", #"{"connection":"user","mtu":1500.5}"#, "not valid JSON"),
    ("POST /v1/nics", #"{"connection":"user","channels":1e99}"#, "not valid JSON"),
    ("POST /v1/nics", #"{"connection":"user","forwards":"tcp:1:2"}"#, "field \\\"forwards\\\""),
    ("POST /v1/nics", #"{"connection":"user","forwards":[1]}"#, "field \\\"forwards"),
    ("POST /v1/nics", #"{"connection":"user","spoofing":1}"#, "must be true or false"),
    ("POST /v1/nics", #"{"connection":"user","vlan":5}"#, "must be text"),
    ("POST /v1/nics", #"{"connection":"user","MAC":"x"}"#, "unknown field \\\"MAC\\\""),
    ("POST /v1/nics", #"{"connection":"user","connection":"none"}"#, "is given twice"),
    ("PUT /v1/nics/lan/link", #"{"link":"sideways"}"#, "has a value that is not known"),
    ("PUT /v1/nics/lan/link", #"{"link":true}"#, "field \\\"link\\\""),
    ("PUT /v1/nics/lan/vlan", #"{"vlan":{"access":5}}"#, "must be text"),
    ("PUT /v1/nics/lan/guards", #"{"mac":"x"}"#, "mac"),
    ("PUT /v1/nics/lan/guards", #"{"spoofing":"yes"}"#, "field \\\"spoofing\\\""),
    ("PUT /v1/nics/lan/connection", "[]", "the body must be"),
    ("POST /v1/nics/lan/capture", #"{"path":"relative"}"#, "is not an absolute path"),
    ("POST /v1/nics/lan/capture", #"{"path":"/a\u0000b"}"#, "is not an absolute path"),
    ("POST /v1/nics/lan/capture", #"{"path":"/a","snapLength":63}"#, "use 64 to 262144"),
    ("POST /v1/nics/lan/capture", #"{"path":"/a","snapLength":-1}"#, "use 64 to 262144"),
  ])
  func refusesBodiesAboutNetworkAdapters(request: String, body: String, message: String) async throws {
    try await Harness.run { harness in
      harness.machine.state.value.withLock { $0.nics = Sample.nics }
      let answer = try await RawClient.exchange(
        harness.socket, "\(request) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
      #expect(answer.status == 400 && answer.body.contains(message), "\(answer.text)")
      #expect(try await harness.client.nics() == Sample.nics)
    }
  }

  @Test func switchesServices() async throws {
    try await Harness.run { harness in
      do {
        let answer = try await harness.client.services()
        #expect(answer.count == 6)
      }
      do {
        let answer = try await harness.client.setService(.shutdown, enabled: false)
        #expect(answer.state == .disabled)
      }
      let error = await failure { try await harness.client.stop(StopRequest()) }
      #expect(error?.code == .serviceUnavailable)
      #expect(error?.remedy == "lis vm stop --force")
      #expect(error?.code.exitCode == .serviceUnavailable)
    }
  }

  @Test(arguments: ["plain", "with space", "a/b", "../x", "ключ", "100%", "a+b", "?q=1#f", "\"quoted\"\n"])
  func exchangesData(key: String) async throws {
    try await Harness.run { harness in
      let item = KeyValueItem(pool: .external, key: key, value: "wert \(key)")
      try await harness.client.setKeyValueItem(item)
      do {
        let answer = try await harness.client.keyValueItem(key, in: .external)
        #expect(answer == item)
      }
      do {
        let answer = try await harness.client.keyValueItems(in: .external)
        #expect(answer == [item])
      }
      do {
        let answer = try await harness.client.keyValueItems(in: .guest)
        #expect(answer == [])
      }
      try await harness.client.deleteKeyValueItem(key, in: .external)
      await #expect(throws: ControlError(.notFound, "no key \"\(key)\" in pool external")) {
        try await harness.client.deleteKeyValueItem(key, in: .external)
      }
    }
  }

  @Test func boundsDataExchangeItems() async throws {
    try await Harness.run { harness in
      func set(_ key: String, _ value: String, _ kind: KeyValueItem.Kind = .string) async -> ControlError.Code? {
        do throws(ControlError) {
          try await harness.client.setKeyValueItem(KeyValueItem(pool: .external, key: key, value: value, kind: kind))
          return nil
        } catch {
          return error.code
        }
      }
      #expect(await set(String(repeating: "k", count: 255), String(repeating: "v", count: 1023)) == nil)
      #expect(await set(String(repeating: "k", count: 256), "v") == .tooLarge)
      #expect(await set("k", String(repeating: "v", count: 1024)) == .tooLarge)
      #expect(await set("k", String(repeating: "€", count: 682)) == nil)  // 2046 bytes
      #expect(await set("k", String(repeating: "€", count: 683)) == .tooLarge)
      #expect(await set("k", "4294967295", .u32) == nil)
      #expect(await set("k", "4294967296", .u32) == .badRequest)
      #expect(await set("k", "18446744073709551615", .u64) == nil)
      #expect(await set("k", "-1", .u64) == .badRequest)
      #expect(await set("a\0b", "v") == .badRequest)
    }
  }

  @Test func readsAndSetsAddresses() async throws {
    try await Harness.run { harness in
      let guid = "{f8615163-df3e-46c5-913f-f2d2f965ed0e}"
      try await harness.client.setAddresses(
        AdapterUpdate(
          dhcp: false, addresses: ["192.0.2.7", "2001:db8::7"], subnets: ["255.255.255.0", "64"],
          gateways: ["192.0.2.1"]),
        of: guid)
      let addresses = try await harness.client.addresses(of: guid)
      #expect(addresses.ipv4 && addresses.ipv6 && addresses.adapter == guid)
      #expect(addresses.addresses == ["192.0.2.7", "2001:db8::7"])
      for bad in ["192.0.2.7;rm", "$(id)", "", "a b"] {
        await #expect(throws: ControlError.self) {
          try await harness.client.setAddresses(AdapterUpdate(dhcp: false, addresses: [bad], subnets: ["24"]), of: guid)
        }
      }
    }
  }

  @Test func freezesAndThaws() async throws {
    try await Harness.run { harness in
      do {
        let answer = try await harness.client.checkSnapshot()
        #expect(answer == SnapshotStatus(supported: true, frozen: false))
      }
      do {
        let answer = try await harness.client.freeze(FreezeRequest(deadlineSeconds: 20))
        #expect(answer.thawsAt == Sample.time)
      }
      do {
        let answer = try await harness.client.thaw()
        #expect(answer.frozen == false)
      }
      await #expect(throws: ControlError(.wrongState, "the guest is not frozen")) { try await harness.client.thaw() }
      #expect(harness.machine.calls == ["freeze 20.0 seconds"])
    }
  }

  @Test func followsEvents() async throws {
    try await Harness.run { harness in
      harness.machine.events.record(.state, "running", details: ["state": "running"])
      harness.machine.events.record(.heartbeat, "ok")
      let seen = Collected<Event>()
      try await harness.client.events(since: 1, follow: false) { seen.append($0) }
      #expect(seen.values.map(\.sequence) == [2])

      let live = Collected<Event>()
      async let following: Void = harness.client.events(since: 0, follow: true) { live.append($0) }
      try await harness.eventually("the past comes first") { live.values.count == 2 }
      harness.machine.events.record(.panic, "the guest's kernel panicked")
      try await harness.eventually("then what happens") { live.values.count == 3 }
      harness.machine.events.finish()
      try await following
      #expect(live.values.map(\.kind) == [.state, .heartbeat, .panic])
    }
  }

  @Test func attachesToTheConsole() async throws {
    try await Harness.run { harness in
      let console = try #require(harness.machine.console)
      console.publish(Array("before\n".utf8))
      let seen = Collected<UInt8>()
      async let attached: Void = harness.client.consoleOutput(replay: true) { seen.append(contentsOf: $0) }
      try await harness.eventually("the past is replayed") { seen.values.count == 7 }
      for character in "echo\n".utf8 { try await harness.client.consoleInput([character]) }
      #expect(harness.machine.state.value.withLock { $0.typed } == Array("echo\n".utf8))
      console.publish([0, 255, 27])
      try await harness.eventually("bytes come as they are") { seen.values.suffix(3) == [0, 255, 27] }
      console.finish()
      try await attached
    }
  }

  @Test func refusesTheConsoleOfAMachineWithoutOne() async throws {
    try await Harness.run(hasConsole: false) { harness in
      await #expect(throws: ControlError.self) { try await harness.client.consoleInput([1]) }
    }
  }

  @Test func saysThatNothingRuns() async throws {
    let client = ControlClient(try MachineName.parse("absent"), in: RuntimeDirectory(path: Harness.temporaryPath()))
    #expect(await failure { try await client.describe() }?.code == .notRunning)
  }
}

/// What closures on other tasks saw.
final class Collected<Value: Sendable>: Sendable {
  private let state = Mutex<[Value]>([])
  var values: [Value] { state.withLock { $0 } }
  func append(_ value: Value) { state.withLock { $0.append(value) } }
  func append(contentsOf values: [Value]) { state.withLock { $0 += values } }
}
