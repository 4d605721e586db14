# SPDX-License-Identifier: Apache-2.0
"""The emulated IDE controller under stock ata_piix: a disk, a DVD drive, and what keeps the driver's hands off."""

import hashlib
import os

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
