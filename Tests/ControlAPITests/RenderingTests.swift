// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ControlAPI

/// What people and programs see, letter by letter.
@Suite struct RenderingTests {
  private let table = Rendering(.table)

  @Test func machine() {
    #expect(
      table.machine(Sample.machine) == """
        name         web
        state        running
        accelerator  kvm: /dev/kvm is usable
        processors   2
        memory       512 MiB
        uptime       1 h 2 min, since 2026-03-01T12:30:45.678Z
        resets       1
        heartbeat    OK, since 2026-03-01T12:30:45.678Z
        VMBus        version 5.3, 1 of 2 channels open
        process      4711
        panic        2026-03-01T12:30:45.678Z
                     0x60e3 0xffffffff81000000 0x1 0x2 0x3
                     Kernel panic - not syncing: sysrq

        DISK  KIND  SIZE    FORMAT  ACCESS         STATE     READ   WRITTEN  FILE
        0:0   disk  40 GiB  vhdx    read-write     attached  3 MiB  40 KiB   /vms/root.vhdx
        0:2   dvd   -       -       read-only      empty     0 B    0 B      -
        3:63  disk  1 MiB   vhd     write-through  no space  0 B    0 B      /vms/full\\n.vhd

        NIC      KIND       MAC                CONNECTION  LINK  VLAN                    MTU   CHANNELS  VERSION  SENT   RECEIVED  DROPPED  CAPTURE
        lan      synthetic  02:00:00:00:00:07  tap:tap0    up    trunk 1-10,20 native 1  1500  2         6.1      3 MiB  40 KiB    7        /tmp/lan\\n.pcapng
        nic1     synthetic  00:15:5d:01:02:04  none        down  untagged                1500  0         -        0 B    0 B       0        -
        legacy0  legacy     00:15:5d:01:02:05  user        up    untagged                1500  -         -        0 B    0 B       0        -

        SERVICE    STATE      VERSION  FRAMEWORK  TITLE
        heartbeat  ready      3.0      3.0        Heartbeat
        kvp        no daemon  -        -          Key-Value Pair Exchange: no answer for 30 s
        copy       disabled   -        -          Guest File Copy

        CHANNEL  STATE    PROCESSOR  DEVICE
        1        open     0          Heartbeat
        2        offered  -          Shutdown

        """)
    #expect(
      table.machine(Sample.machine, statistics: true).hasSuffix("\n\nexits.hypercall  12\nexits.io         900\n"))
  }

  @Test func disks() {
    #expect(table.disks([]) == "no disks\n")
    #expect(table.disk(Sample.disks[1]).hasPrefix("DISK  KIND"))
    #expect(
      table.disks(Sample.ideDisks) == """
        DISK              KIND  SIZE   FORMAT  ACCESS      STATE                READ  WRITTEN  FILE
        primary-master    disk  1 GiB  vhd     read-write  attached, synthetic  0 B   0 B      /vms/old.vhd
        secondary-master  dvd   -      -       read-only   empty                0 B   0 B      -

        """)
    #expect(Rendering(.json).disks(Sample.disks).contains("\"state\" : \"empty\""))
    #expect(Rendering(.json).disk(Sample.disks[0]).contains("\"readBytes\" : 3145728"))
  }

  @Test func networkAdapters() {
    #expect(table.nics([]) == "no network adapters\n")
    #expect(table.nic(Sample.nics[1]).hasPrefix("NIC   KIND       MAC"))
    #expect(Rendering(.json).nics(Sample.nics).contains("\"spoofed\" : 2"))
    #expect(Rendering(.json).nic(Sample.nics[0]).contains("\"vlan\" : \"trunk 1-10,20 native 1\""))
    #expect(
      table.capture(AdapterCapture(path: "/a\u{1b}.pcapng", frames: 7, leftOut: 1, failure: "no space"))
        == "/a\\u{1b}.pcapng: 7 frames, 1 left out because the file was slow; not written any more: no space\n")
    #expect(Rendering(.json).capture(AdapterCapture(path: "/a")).contains("\"frames\" : 0"))
  }

  @Test func machines() throws {
    let machines = [
      MachineSummary(Sample.machine), MachineSummary(notAnswering: try MachineName.parse("a-much-longer-name")),
    ]
    #expect(
      table.machines(machines) == """
        NAME                STATE          PROCESSORS  MEMORY   UPTIME     HEARTBEAT  PROCESS
        web                 running        2           512 MiB  1 h 2 min  OK         4711
        a-much-longer-name  not-answering  -           -        -          -          -

        """)
    #expect(table.machines([]) == "no machine is running\n")
    #expect(Rendering(.json).machines([]) == "[\n\n]\n")
  }

  @Test func jsonIsStable() {
    #expect(
      Rendering(.json).snapshot(SnapshotStatus(supported: true, frozen: false)) == """
        {
          "frozen" : false,
          "supported" : true
        }

        """)
    let event = Event(sequence: 7, time: Sample.time, kind: .service, message: "a/b", details: ["b": "2", "a": "1"])
    #expect(
      Rendering(.json).event(event) == """
        {"details":{"a":"1","b":"2"},"kind":"service","message":"a/b","sequence":7,"time":"2026-03-01T12:30:45.678Z"}

        """)
  }

  @Test func guestTextCannotSteerTheTerminal() {
    let items = [
      KeyValueItem(pool: .guest, key: "evil\u{1b}[2J\nrm", value: "a\u{202e}b\u{7}\r"),
      KeyValueItem(pool: .guest, key: "größe", value: "鍵 and more"),
    ]
    #expect(
      table.items(items) == """
        KEY                VALUE
        evil\\u{1b}[2J\\nrm  a\\u{202e}b\\u{7}\\r
        größe              鍵 and more

        """)
    #expect(table.item(items[0]) == "a\\u{202e}b\\u{7}\\r\n")
  }

  @Test func wideLettersAreAligned() {
    let items = [
      KeyValueItem(pool: .guest, key: "鍵", value: "x"), KeyValueItem(pool: .guest, key: "abc", value: "y"),
    ]
    #expect(table.items(items) == "KEY  VALUE\n鍵   x\nabc  y\n")
  }

  @Test func coloursOnlyOnATerminal() {
    let status = ServiceStatus(name: .time, enabled: true, state: .ready, version: "4.0")
    #expect(!table.service(status).contains("\u{1b}"))
    #expect(Rendering(.table, TextStyle(colour: true)).service(status).contains("\u{1b}[32mready\u{1b}[0m  4.0"))
    #expect(!Rendering(.json, TextStyle(colour: true)).service(status).contains("\u{1b}"))
  }

  @Test func events() {
    let event = Event(sequence: 1, time: Sample.time, kind: .panic, message: "the guest panicked\u{1b}")
    #expect(table.event(event) == "2026-03-01T12:30:45.678Z  panic      the guest panicked\\u{1b}\n")
  }

  @Test func snapshots() {
    #expect(table.snapshot(SnapshotStatus(supported: false, frozen: false)) == "the guest cannot freeze\n")
    #expect(
      table.snapshot(SnapshotStatus(supported: true, frozen: true, thawsAt: Sample.time))
        == "frozen; the host thaws by itself at 2026-03-01T12:30:45.678Z\n")
  }

  @Test func quantities() {
    for (count, text) in [
      (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (10 << 20, "10 MiB"), (.max, "16 EiB"),
    ] as [(UInt64, String)] {
      #expect(Quantity.bytes(count) == text)
    }
    for (seconds, text) in [
      (0, "0 s"), (59.9, "59 s"), (125, "2 min 5 s"), (3725, "1 h 2 min"), (273_600, "3 d 4 h"), (-1, "?"),
      (.infinity, "?"), (.nan, "?"),
    ] {
      #expect(Quantity.duration(seconds) == text)
    }
  }

  @Test func progress() {
    let progress = CopyProgress(byteCount: 10 << 20)
    #expect(progress.line(copied: 0, seconds: 0) == "  0 %  0 B of 10 MiB")
    #expect(progress.line(copied: 5 << 20, seconds: 2) == " 50 %  5 MiB of 10 MiB  2.5 MiB/s  2 s left")
    #expect(progress.line(copied: 10 << 20, seconds: 4) == "100 %  10 MiB of 10 MiB  2.5 MiB/s")
    #expect(CopyProgress(byteCount: 0).line(copied: 0, seconds: 0) == "100 %  0 B of 0 B")
  }
}
