# SPDX-License-Identifier: Apache-2.0
"""The IDE controller: a disk and a DVD drive under stock ata_piix, what keeps the driver's hands off, and the disk's other
face, a channel under stock hv_storvsc."""

import hashlib
import json
import os
import subprocess
import time

from harness import image
from harness.machine import Machine
from harness.suite import case, expect, expect_equal

DISK_BYTES = 96 << 20


def disk(suite, name):
    path = suite.work / name
    with open(path, "wb") as file:
        file.truncate(DISK_BYTES)
    return path


def iso9660(data):
    """An ISO 9660 image with the one file DATA (ECMA-119: numbers in both byte orders, sectors of 2048 bytes)."""
    def both(value, size=4):
        return value.to_bytes(size, "little") + value.to_bytes(size, "big")

    def record(name, sector, count, directory):
        body = (bytes([0]) + both(sector) + both(count) + bytes([126, 1, 1, 0, 0, 0, 0]) + bytes([2 if directory else 0])
                + bytes(2) + both(1, 2) + bytes([len(name)]) + name)
        body += bytes(1 - len(body) % 2)
        return bytes([len(body) + 1]) + body

    root, table, first = 20, 18, 21
    sectors = first + (len(data) + 2047) // 2048
    descriptor = (b"\x01CD001\x01\0" + b"LIS".ljust(32) + b"DISC".ljust(32) + bytes(8) + both(sectors) + bytes(32)
                  + both(1, 2) + both(1, 2) + both(2048, 2) + both(10) + table.to_bytes(4, "little") + bytes(4)
                  + (table + 1).to_bytes(4, "big") + bytes(4) + record(b"\0", root, 2048, True) + b" " * 623
                  + b"0" * 16 + b"\0" * 17 * 4)
    descriptor = descriptor[:881] + b"\x01"
    directory = record(b"\0", root, 2048, True) + record(b"\1", root, 2048, True) + record(b"DATA.;1", first, len(data),
                                                                                        False)
    image = bytearray(sectors * 2048)
    for sector, content in [(16, descriptor), (17, b"\xffCD001\x01"),
                            (table, bytes([1, 0]) + root.to_bytes(4, "little") + b"\1\0\0\0"),
                            (table + 1, bytes([1, 0]) + root.to_bytes(4, "big") + b"\0\1\0\0"),
                            (root, directory), (first, data)]:
        image[sector * 2048:sector * 2048 + len(content)] = content
    return bytes(image)


def disc(suite, name):
    """An ISO image, and its file's hash."""
    data = os.urandom(3 << 20)
    path = suite.work / name
    path.write_bytes(iso9660(data))
    return path, hashlib.sha256(data).hexdigest()


def exits(vm):
    return {key: value for key, value in vm.show()["statistics"].items()
            if key in ("exits.deviceRead", "exits.deviceWrite", "ide.batchedWrites", "ide.requests")}


def trips(vm, command):
    before = exits(vm)
    vm.sh(command)
    after = exits(vm)
    return {key: after[key] - before.get(key, 0) for key in after}


@case("IDE disk and DVD, 6.1-standard", depth="normal", guest="6.1-standard")
def ide(suite, guest):
    path = disk(suite, "ide.raw")
    iso, sum = disc(suite, "ide.iso")
    options = ["--ide", f"{path},format=raw", "--ide", f"{iso},dvd"]
    with Machine(suite, guest, disks=True, options=options, daemons=False) as vm:
        with suite.check("management information says Hyper-V"):
            expect_equal(vm.sh("cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name").split("\n")[:2],
                         ["Microsoft Corporation", "Virtual Machine"])
        with suite.check("PCI has host bridge, ISA bridge and IDE controller"):
            found = vm.sh("cd /sys/bus/pci/devices && for d in *; do echo $d $(cat $d/vendor $d/device); done")
            for one in ["0000:00:00.0 0x8086 0x7192", "0000:00:07.0 0x8086 0x7110", "0000:00:07.1 0x8086 0x7111"]:
                expect(one in found, found)
        with suite.check("stock ata_piix leaves disks alone on Hyper-V"):
            vm.sh("modprobe sd_mod && modprobe ata_piix && sleep 3")
            expect("ATA device ignore set" in vm.sh("dmesg"), "no word of it in dmesg")
            vm.sh("! test -e /dev/sda")
        with suite.check("told otherwise, it finds the disk"):
            vm.sh("modprobe -r ata_piix; dmesg -c >/dev/null; modprobe ata_piix prefer_ms_hyperv=0")
            vm.sh("for i in $(seq 100); do test -e /dev/sda && break; sleep 0.1; done; test -e /dev/sda")
            expect_equal(int(vm.sh("cat /sys/block/sda/size")), DISK_BYTES // 512, "sectors")
            log = vm.sh("dmesg | grep -i ata")
            suite.note(log.replace("\n", "\n     "))
            expect("UDMA/33" in log, log)
        with suite.check("the DVD mounts, and its file is whole"):
            vm.sh("modprobe sr_mod && modprobe isofs")
            vm.sh("for i in $(seq 100); do test -e /dev/sr0 && break; sleep 0.1; done; mount -t iso9660 -o ro /dev/sr0 /mnt")
            expect_equal(vm.sh("sha256sum </mnt/data").split()[0], sum)
            vm.sh("umount /mnt")
        with suite.check("what is written is read back, and lies in the image"):
            vm.sh("dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null")
            written = vm.sh("sha256sum </tmp/data").split()[0]
            vm.sh("dd if=/tmp/data of=/dev/sda bs=1M seek=32 conv=fsync 2>/dev/null")
            vm.sh("echo 3 >/proc/sys/vm/drop_caches")
            expect_equal(vm.sh("dd if=/dev/sda bs=1M skip=32 count=16 2>/dev/null | sha256sum").split()[0], written)
            with open(path, "rb") as file:
                file.seek(32 << 20)
                expect_equal(hashlib.sha256(file.read(16 << 20)).hexdigest(), written, "the image")
        with suite.check("a command costs fewer trips than QEMU's 26"):
            figures = trips(vm, "dd if=/dev/sda of=/dev/null bs=4k count=256 iflag=direct 2>/dev/null")
            per = (figures["exits.deviceRead"] + figures["exits.deviceWrite"]) / 256
            suite.note(f"{per:.1f} trips a command; {figures}")
            expect(per < 26, f"{per:.1f}")
        with suite.check("nothing went wrong in the driver"):
            expect_equal(vm.sh("dmesg | grep -i -E 'ata.*(error|failed|exception|reset)|I/O error' || true").strip(), "")


def disks(vm):
    """The guest's disks, by what is behind them: {"emulated": "sda"}."""
    found = {}
    for line in vm.sh("for d in /sys/block/sd*; do [ -e $d ] && echo $(basename $d) $(readlink -f $d/device); done; true"
                      ).splitlines():
        name, _, path = line.partition(" ")
        if path:
            face = "emulated" if "/ata" in path else "synthetic"
            expect(face not in found, f"two {face} disks: {line} and {found.get(face)}")
            found[face] = name
    return found


def appears(vm, face, seconds=20):
    """Waits for the disk by this face; returns its name."""
    end = time.monotonic() + seconds
    while True:
        found = disks(vm)
        if face in found:
            vm.sh(f"for i in $(seq 50); do [ -b /dev/{found[face]} ] && exit; usleep 100000; done; false")
            return found[face]
        expect(time.monotonic() < end, f"no {face} disk; the guest sees {found}")
        time.sleep(0.3)


def image_file(suite, name, size):
    path = suite.work / f"{suite.current.name.replace(' ', '-').replace(',', '')}-{name}"
    done = subprocess.run([suite.lis, "disk", "create", str(path), size], capture_output=True, text=True)
    expect(done.returncode == 0, done.stderr)
    return path


def drive(vm, place="primary-master"):
    return next(one for one in vm.json("vm", "disk", "list", vm.name) if one.get("position") == place)


def emulated(vm, place="primary-master"):
    """What the emulated drive was asked for, and how many commands it refused."""
    statistics = vm.show()["statistics"]
    return statistics[f"ide.{place}.requests"], statistics[f"ide.{place}.refused"]


def past_events(vm):
    return [json.loads(line) for line in vm.lis("events", vm.name, "--past", "--format", "json").splitlines()]


def reboot(vm):
    since = vm.console.mark()
    vm.sh("sync; setsid sh -c 'sleep 1; reboot -f' >/dev/null 2>&1 </dev/null &")
    vm.rebooted(since)


FILES = "modprobe crc32c_generic; modprobe sd_mod; modprobe ext4; "
TAKE_IDE = "modprobe ata_piix prefer_ms_hyperv=0"


def write_file(vm, disk, name):
    """Writes a file of random bytes; returns its hash."""
    return vm.sh(f"mount -t ext4 /dev/{disk} /mnt && dd if=/dev/urandom of=/mnt/{name} bs=64k count=128 2>/dev/null && sync"
                 f" && md5sum </mnt/{name}; umount /mnt", 120)


def hash_file(vm, disk, name):
    return vm.sh(f"echo 3 >/proc/sys/vm/drop_caches; mount -t ext4 /dev/{disk} /mnt && md5sum </mnt/{name}; umount /mnt", 120)


def hand_over(suite, guest, processors):
    """One disk, first through ata_piix without the bus, then through hv_storvsc, and back."""
    path = image_file(suite, "disk.vhdx", "96M")
    with Machine(suite, guest, processors=processors, disks=True, daemons=False, command_line="lis.no-bus",
                 options=["--ide", str(path)]) as vm:
        with suite.check("through ata_piix, without the bus: a file system and a file"):
            vm.sh("! grep -q ^hv_ /proc/modules")
            vm.sh(FILES + TAKE_IDE)
            disk = appears(vm, "emulated")
            vm.sh(f"/usr/sbin/mke2fs -q -F -t ext4 /dev/{disk}", 120)
            first = write_file(vm, disk, "first")
            expect_equal(drive(vm)["interface"], "emulated", "interface")
        with suite.check("what an IDE disk cannot do while it is in use is refused"):
            said = vm.refused(22, "vm", "disk", "resize", vm.name, "primary-master", "128M")
            expect("emulated" in said, said)
            said = vm.refused(22, "vm", "disk", "remove", vm.name, "primary-master")
            expect("IDE" in said, said)
            vm.refused(25, "vm", "disk", "remove", vm.name, "secondary-slave")
            vm.refused(64, "vm", "disk", "add", vm.name, str(path), "--controller", "ide")
        with suite.check("equal after a reboot, checked"):
            reboot(vm)
            vm.sh("! grep -q ^hv_ /proc/modules")
            vm.sh(FILES + TAKE_IDE)
            disk = appears(vm, "emulated")
            expect_equal(hash_file(vm, disk, "first"), first, "hash")
            vm.sh(f"/usr/sbin/e2fsck -fn /dev/{disk} >/tmp/check 2>&1 || {{ cat /tmp/check; false; }}", 120)
            expect(emulated(vm)[0] > 0, "the emulated disk was asked for nothing")
        with suite.check("handed over: the same file through hv_storvsc, and no emulated disk any more"):
            vm.sh("rmmod ata_piix; modprobe hv_vmbus && modprobe hv_storvsc")
            disk = appears(vm, "synthetic")
            before = emulated(vm)
            expect_equal(hash_file(vm, disk, "first"), first, "hash")
            expect_equal(drive(vm)["interface"], "synthetic", "interface")
            vm.sh(TAKE_IDE + "; sleep 2")
            expect_equal(disks(vm), {"synthetic": disk}, "disks")
        with suite.check("written through the channel, while commands to the emulated disk do nothing"):
            second = write_file(vm, disk, "second")
            if vm.sh("test -c /dev/port && echo yes; true").strip() == "yes":
                # The master, then READ SECTORS, WRITE SECTORS and IDENTIFY DEVICE.
                for port, value in [(0x1F6, 0xE0), (0x1F7, 0x20), (0x1F7, 0x30), (0x1F7, 0xEC)]:
                    vm.sh(f"printf '\\{value:o}' | dd of=/dev/port bs=1 seek={port} conv=notrunc 2>/dev/null")
                refused = emulated(vm)[1] - before[1]
                expect(refused >= 3, f"{refused} commands refused")
                suite.note(f"{refused} commands refused")
            expect_equal(emulated(vm)[0], before[0], "requests to the emulated disk")
        with suite.check("the guest sees a new size at once"):
            vm.lis("vm", "disk", "resize", vm.name, "primary-master", "128M")
            vm.sh(f"for i in $(seq 50); do [ $(cat /sys/block/{disk}/size) = 262144 ] && exit; usleep 200000; done; false")
        with suite.check("given back when hv_storvsc goes: the second file through ata_piix, in the new size"):
            vm.sh("rmmod hv_storvsc && rmmod ata_piix && " + TAKE_IDE)
            disk = appears(vm, "emulated")
            expect_equal(int(vm.sh(f"cat /sys/block/{disk}/size")), 262144, "sectors")
            expect_equal(hash_file(vm, disk, "second"), second, "hash")
            vm.sh(f"/usr/sbin/e2fsck -fn /dev/{disk} >/tmp/check 2>&1 || {{ cat /tmp/check; false; }}", 120)
            expect_equal(drive(vm)["interface"], "emulated", "interface")
        with suite.check("each change of hands is an event"):
            vm.sh("modprobe hv_storvsc")
            appears(vm, "synthetic")
            changes = [one["details"]["interface"] for one in past_events(vm)
                       if one["details"].get("change") == "interface"]
            expect_equal(changes, ["synthetic", "emulated", "synthetic"], "changes")


def both_drivers(suite, guest, processors):
    """As a distribution would have it: both drivers as they are, the disk by the channel and the DVD by ata_piix."""
    path = image_file(suite, "disk.vhdx", "96M")
    iso, sum = disc(suite, f"{guest}-first.iso")
    other, other_sum = disc(suite, f"{guest}-second.iso")
    options = ["--ide", str(path), "--ide", f"{path}.slave,format=raw,position=primary-slave", "--ide", f"{iso},dvd"]
    with open(f"{path}.slave", "wb") as file:
        file.truncate(32 << 20)
    with Machine(suite, guest, processors=processors, disks=True, options=options) as vm:
        vm.sh("modprobe sr_mod; modprobe isofs")

        def load():
            vm.sh(FILES + "modprobe ata_piix; modprobe hv_storvsc")
            vm.sh("for i in $(seq 100); do [ -e /sys/block/sdb ] && exit; usleep 100000; done; false")
            names = {}
            for line in vm.sh("for d in /sys/block/sd*; do echo $(basename $d) $(basename $(readlink -f $d/device)) "
                              "$(readlink -f $d/device); done").splitlines():
                name, address, where = line.split()
                expect("/ata" not in where, line)
                names[address.split(":")[2]] = name
            expect_equal(sorted(names), ["0", "1"], "targets")
            return names["0"], names["1"]

        with suite.check("two disks by their channels, none by ata_piix"):
            master, slave = load()
            expect_equal(int(vm.sh(f"cat /sys/block/{slave}/size")), 65536, "sectors of the slave")
            expect_equal(vm.sh(f"cat /sys/block/{master}/device/model").strip(), "Virtual Disk", "model")
        with suite.check("a file system, a file, a reboot, the hash"):
            vm.sh(f"/usr/sbin/mke2fs -q -F -t ext4 /dev/{master}", 120)
            first = write_file(vm, master, "first")
            since = vm.console.mark()
            vm.services_ready(["shutdown"])
            vm.lis("vm", "restart", vm.name)
            vm.rebooted(since)
            expect_equal(drive(vm)["interface"], "emulated", "interface before a driver is there")
            master, slave = load()
            expect_equal(hash_file(vm, master, "first"), first, "hash")
        with suite.check("the emulated disks were never asked for anything"):
            expect_equal([emulated(vm)[0], emulated(vm, "primary-slave")[0]], [0, 0], "requests")
            listed = {one["position"]: one for one in vm.json("vm", "disk", "list", vm.name)}
            expect_equal(sorted(listed), ["primary-master", "primary-slave", "secondary-master"], "places")
            expect(listed["primary-master"]["counters"]["writes"] > 0, str(listed))
        with suite.check("a request by the channel costs no trip"):
            figures = trips(vm, f"dd if=/dev/{master} of=/dev/null bs=4k count=1024 iflag=direct 2>/dev/null")
            per = (figures["exits.deviceRead"] + figures["exits.deviceWrite"]) / 1024
            suite.note(f"{per:.2f} trips a request; {figures}")
            expect(per < 1, f"{per:.2f}")
        with suite.check("the disc of the IDE DVD drive is changed by the host"):
            vm.sh("modprobe sr_mod; modprobe isofs; for i in $(seq 100); do [ -b /dev/sr0 ] && exit; usleep 100000; done; false")
            vm.sh("mount -t iso9660 -o ro /dev/sr0 /mnt")
            expect_equal(vm.sh("sha256sum </mnt/data").split()[0], sum)
            said = vm.refused(22, "vm", "dvd", "eject", vm.name)
            expect("locked" in said, said)
            vm.sh("umount /mnt")
            vm.lis("vm", "dvd", "eject", vm.name)
            expect_equal(drive(vm, "secondary-master")["state"], "empty", "state")
            vm.refused(22, "vm", "dvd", "eject", vm.name, "--drive", "secondary-master")
            vm.lis("vm", "dvd", "insert", vm.name, str(other), "--drive", "secondary-master")
            vm.sh("for i in $(seq 50); do mount -t iso9660 -o ro /dev/sr0 /mnt 2>/dev/null && exit; usleep 200000; done; false")
            expect_equal(vm.sh("sha256sum </mnt/data").split()[0], other_sum)
            vm.sh("umount /mnt")
        with suite.check("clean dmesg"):
            noise = vm.sh("dmesg -r | grep -E '^<[0-3]>' | grep -vE 'cpc|_CPC'; true")
            expect(not noise.strip(), noise)


def taken_in_use(suite, guest):
    """hv_storvsc comes while the guest works on the emulated disk: from then on that one does nothing."""
    path = image_file(suite, "disk.vhdx", "96M")
    with Machine(suite, guest, processors=2, disks=True, daemons=False, options=["--ide", str(path)]) as vm:
        vm.sh(FILES + TAKE_IDE)
        disk = appears(vm, "emulated")
        with suite.check("taken over under load: the emulated disk does nothing any more"):
            vm.sh(f"setsid sh -c 'while dd if=/dev/{disk} of=/dev/null bs=64k iflag=direct 2>/dev/null; do :; done; "
                  "echo >/run/stopped' >/dev/null 2>&1 </dev/null &")
            vm.sh("sleep 2; modprobe hv_storvsc")
            other = appears(vm, "synthetic", 60)
            before = emulated(vm)
            expect(before[0] > 0, "no load")
            vm.sh(f"dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null; "
                  f"dd if=/tmp/data of=/dev/{other} bs=1M conv=fsync 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches")
            expect_equal(vm.sh(f"dd if=/dev/{other} bs=1M count=16 2>/dev/null | md5sum"), vm.sh("md5sum </tmp/data"), "hash")
            # The driver's time limit is 30 s, and it tries some things before it gives up.
            vm.sh("for i in $(seq 240); do [ -e /run/stopped ] && exit; sleep 1; done; false", 300)
            after = emulated(vm)
            suite.note(f"{after[1] - before[1]} commands refused")
            expect_equal(after[0], before[0], "requests to the emulated disk")


def across_kexec(suite, guest):
    """The next kernel, by kexec or by force, finds both interfaces as the first one did."""
    path = image_file(suite, "disk.vhdx", "96M")
    files = {"boot/vmlinuz": image.kernel(guest).read_bytes(), "boot/initramfs":
             image.initramfs_with_disks(guest, suite.ours).read_bytes()}
    with Machine(suite, guest, processors=2, memory="768M", disks=True, daemons=False, files=files,
                 options=["--ide", str(path)]) as vm:
        vm.sh(FILES + "modprobe hv_storvsc")
        disk = appears(vm, "synthetic")
        vm.sh(f"/usr/sbin/mke2fs -q -F -t ext4 /dev/{disk}", 120)
        first = write_file(vm, disk, "first")
        with suite.check("kexec: the disk goes back to ata_piix, and to the channel again"):
            vm.sh("kexec -l /boot/vmlinuz --initrd=/boot/initramfs --command-line=\"$(cat /proc/cmdline)\"", 120)
            since = vm.console.mark()
            vm.console.send(b"0 kexec -e\n")
            vm.rebooted(since)
            expect_equal(vm.show()["resets"], 0, "resets")
            expect_equal(drive(vm)["interface"], "emulated", "interface")
            vm.sh(FILES + TAKE_IDE)
            expect_equal(hash_file(vm, appears(vm, "emulated"), "first"), first, "hash")
            vm.sh("rmmod ata_piix; modprobe hv_storvsc")
            expect_equal(hash_file(vm, appears(vm, "synthetic"), "first"), first, "hash")
        with suite.check("a reset by force while the channel is busy: the same"):
            disk = disks(vm)["synthetic"]
            vm.sh(f"setsid sh -c 'while :; do dd if=/dev/{disk} of=/dev/null bs=64k iflag=direct; done' "
                  ">/dev/null 2>&1 </dev/null &")
            vm.sh("sleep 1")
            since = vm.console.mark()
            vm.lis("vm", "restart", vm.name, "--reset")
            vm.rebooted(since)
            expect_equal(drive(vm)["interface"], "emulated", "interface")
            vm.sh(FILES + TAKE_IDE)
            expect_equal(hash_file(vm, appears(vm, "emulated"), "first"), first, "hash")


def speed(suite, guest):
    """Reads of 4 KiB, one at a time, by both interfaces in turn."""
    path = disk(suite, f"{guest}-speed.raw")
    count = 2000
    with Machine(suite, guest, disks=True, daemons=False, options=["--ide", f"{path},format=raw"]) as vm:
        vm.sh(FILES)
        rates = {"emulated": [], "synthetic": []}
        trips_of = {}
        for _ in range(5):
            for face, load, unload in [("emulated", TAKE_IDE, "rmmod ata_piix"),
                                       ("synthetic", "modprobe hv_storvsc", "rmmod hv_storvsc")]:
                vm.sh(load)
                name = appears(vm, face)
                vm.sh(f"dd if=/dev/{name} of=/dev/null bs=4k count=200 iflag=direct 2>/dev/null")
                before = vm.show()["statistics"]
                said = vm.sh(f"cat /proc/uptime; dd if=/dev/{name} of=/dev/null bs=4k count={count} iflag=direct 2>/dev/null;"
                             " cat /proc/uptime", 180)
                after = vm.show()["statistics"]
                start, end = (float(line.split()[0]) for line in said.splitlines())
                rates[face].append(count / (end - start))
                trips_of[face] = {key: (after[key] - before.get(key, 0)) / count for key in after
                                  if key.startswith(("exits.", "kvm.", "ide.b")) and after[key] > before.get(key, 0) + count / 50}
                vm.sh(f"sleep 1; {unload}")
        with suite.check("the channel is faster"):
            for face, found in rates.items():
                suite.note(f"{face}: {sorted(found)[len(found) // 2]:.0f} reads a second; for each: "
                           + ", ".join(f"{key} {value:.2f}" for key, value in sorted(trips_of[face].items())))
            ratios = sorted(two / one for one, two in zip(rates["emulated"], rates["synthetic"]))
            suite.note(f"synthetic to emulated: median {ratios[len(ratios) // 2]:.1f} of {ratios}")
            expect(ratios[len(ratios) // 2] > 1, str(ratios))


case("IDE hand-over, 6.1-standard", depth="normal", guest="6.1-standard", processors=2)(hand_over)
case("IDE hand-over, 6.12-standard", depth="full", guest="6.12-standard", processors=1)(hand_over)
case("IDE with both drivers, 6.1-standard", depth="full", guest="6.1-standard", processors=1)(both_drivers)
case("IDE with both drivers, 6.12-standard", depth="full", guest="6.12-standard", processors=2)(both_drivers)
case("IDE taken over in use, 6.12-standard", depth="full", guest="6.12-standard")(taken_in_use)
case("IDE across kexec, 6.12-standard", depth="full", guest="6.12-standard")(across_kexec)
case("IDE speed of both interfaces, 6.1-standard", depth="full", guest="6.1-standard")(speed)
