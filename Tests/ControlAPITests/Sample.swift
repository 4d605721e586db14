// SPDX-License-Identifier: Apache-2.0

@testable import ControlAPI

/// Values with every field set, for round trips and snapshots of printed text.
enum Sample {
  static let time = Timestamp(nanoseconds: 1_772_368_245_678_000_000)

  static let crash = CrashReport(
    at: time, parameters: [0x60e3, 0xffff_ffff_8100_0000, 1, 2, 3], message: "Kernel panic - not syncing: sysrq")

  static let disks = [
    AttachedDisk(
      at: .scsi(controller: 0, lun: 0), path: "/vms/root.vhdx", format: .vhdx, sizeBytes: 40 << 30,
      logicalSectorBytes: 512,
      physicalSectorBytes: 4096, blockBytes: 32 << 20,
      counters: DiskCounters(
        reads: 100, readBytes: 3 << 20, writes: 10, writtenBytes: 40960, flushes: 2, discards: 1, failures: 0)),
    AttachedDisk(
      at: .scsi(controller: 0, lun: 2), kind: .dvd, path: nil, sizeBytes: 0, readOnly: true, writeCache: false,
      state: .empty),
    AttachedDisk(
      at: .scsi(controller: 3, lun: 63), path: "/vms/full\n.vhd", format: .vhd, sizeBytes: 1 << 20,
      writeCache: false, state: .noSpace),
  ]

  static let ideDisks = [
    AttachedDisk(
      at: .ide(.primaryMaster), interface: .synthetic, path: "/vms/old.vhd", format: .vhd, sizeBytes: 1 << 30),
    AttachedDisk(
      at: .ide(.secondaryMaster), interface: .emulated, kind: .dvd, path: nil, sizeBytes: 0, readOnly: true,
      writeCache: false, state: .empty),
  ]

  static let nics = [
    AttachedAdapter(
      name: "lan", mac: "00:15:5d:01:02:03", guestMAC: "02:00:00:00:00:07", connection: "tap:tap0",
      vlan: "trunk 1-10,20 native 1", maximumMTU: 9000, mtu: 1500, channels: 2, monitored: true, version: "6.1",
      spoofing: true,
      isolated: true, routerGuard: true, dhcpGuard: true,
      counters: AdapterCounters(
        sentFrames: 10, sentBytes: 3 << 20, receivedFrames: 20, receivedBytes: 40960, sendErrors: 1,
        receiveErrors: 2, withoutBuffer: 3),
      port: AdapterPort(framesFromGuest: 10, framesToGuest: 20, drops: ["vlan": 5, "spoofed": 2]),
      capture: AdapterCapture(path: "/tmp/lan\n.pcapng", frames: 7, leftOut: 1, failure: "no space")),
    AttachedAdapter(
      name: "nic1", mac: "00:15:5d:01:02:04", connection: "none", link: .down, forwards: ["tcp:2222:22"]),
    AttachedAdapter(name: "legacy0", kind: .legacy, mac: "00:15:5d:01:02:05", connection: "user"),
  ]

  static let machine = MachineDescription(
    name: "web", state: .running, processID: 4711, accelerator: "kvm", acceleratorReason: "/dev/kvm is usable",
    processors: 2, memoryBytes: 512 << 20, startedAt: time, uptimeSeconds: 3725.5, resets: 1,
    bus: BusDescription(
      version: "5.3",
      channels: [
        ChannelDescription(
          id: 1, name: "Heartbeat", classID: "57164f39-9115-4e78-ab55-382f3bd5422d",
          instanceID: "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0", state: .open, targetProcessor: 0),
        ChannelDescription(
          id: 2, name: "Shutdown", classID: "0e0b6031-5213-4934-818b-38d90ced39db",
          instanceID: "b6650ff7-33bc-4840-8048-e0676786f393", state: .offered),
      ]),
    heartbeat: HeartbeatStatus(state: .ok, since: time, lastBeat: time), disks: disks, nics: nics,
    services: [
      ServiceStatus(name: .heartbeat, enabled: true, state: .ready, frameworkVersion: "3.0", version: "3.0"),
      ServiceStatus(name: .kvp, enabled: true, state: .noDaemon, detail: "no answer for 30 s"),
      ServiceStatus(name: .copy, enabled: false, state: .disabled),
    ], crash: crash, statistics: ["exits.hypercall": 12, "exits.io": 900])
}
