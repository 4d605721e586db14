# SPDX-License-Identifier: Apache-2.0
"""Disks and DVD drives on the synthetic SCSI controllers, with the guest's own hv_storvsc, file systems and tools."""

import os
import subprocess
import time

from harness.machine import Machine
from harness.suite import case, expect, expect_equal

MIB = 1 << 20


def create(suite, path, *options):
    done = subprocess.run([suite.lis, "disk", "create", str(path), *options], capture_output=True, text=True)
    expect(done.returncode == 0, f"lis disk create {path} {options}: {done.stderr}")
    return path


def iso(path, text):
    """A DVD with one file. Made by genisoimage or xorriso where there is one, otherwise plain bytes."""
    folder = path.parent / (path.name + ".d")
    folder.mkdir()
    (folder / "hello.txt").write_text(text)
    for tool in (["genisoimage", "-quiet", "-o"], ["xorrisofs", "-quiet", "-o"]):
        try:
            subprocess.run([*tool, str(path), str(folder)], check=True, capture_output=True)
            return path
        except FileNotFoundError:
            pass
    raise RuntimeError("neither genisoimage nor xorrisofs is installed")


def folder(suite, name):
    path = suite.work / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def drivers(vm):
    # Seconds where the processors have virtualization; on a busy software machine loading xfs alone has taken a minute.
    vm.sh("modprobe hv_storvsc; modprobe sd_mod; modprobe sr_mod; modprobe ext4; modprobe xfs; modprobe isofs", 240)


def attached(vm, count, timeout=20):
    """Waits until the guest sees this many disks; returns them by LUN as {(controller, lun): name}."""
    end = time.monotonic() + timeout
    while True:
        found = {}
        for line in vm.sh("for d in /sys/block/sd*; do [ -e $d ] && echo $(basename $d) "
                          "$(basename $(readlink -f $d/device)) $(readlink -f $d/device); done; true").splitlines():
            # One that goes while the guest looks gives half a line.
            fields = line.split()
            if len(fields) != 3 or fields[1].count(":") != 3 or not fields[2].startswith("/sys/devices"):
                continue
            name, address, path = fields
            lun = address.split(":")[3]
            # The controller's number is the end of its VMBus device's GUID.
            controller = int(next(part for part in path.split("/") if part.count("-") == 4)[-12:], 16)
            found[(controller, int(lun))] = name
        if len(found) == count:
            return found
        expect(time.monotonic() < end, f"{count} disks expected, the guest sees {found}")
        time.sleep(0.5)


def value(vm, disk, name):
    return vm.sh(f"cat /sys/block/{disk}/{name}").strip()


def facts(suite, guest):
    place = folder(suite, f"facts-{guest}")
    create(suite, place / "plain.raw", "64M")
    create(suite, place / "four.raw", "64M")
    create(suite, place / "dynamic.vhdx", "10G")
    options = [f"--disk={place}/plain.raw", f"--disk={place}/four.raw,sector=4096,cache=off",
               f"--disk={place}/dynamic.vhdx,lun=9,read-only", f"--disk={place}/plain2.vhd,controller=3,lun=63",
               f"--dvd={iso(place / 'first.iso', 'first')}"]
    create(suite, place / "plain2.vhd", "32M")
    with Machine(suite, guest, processors=4, disks=True, options=options) as vm:
        drivers(vm)
        disks = attached(vm, 4)
        with suite.check("every disk is where it was put"):
            expect_equal(sorted(disks), [(0, 0), (0, 1), (0, 9), (3, 63)], "places")
        plain, four, dynamic = disks[(0, 0)], disks[(0, 1)], disks[(0, 9)]
        with suite.check("sizes, sectors and names"):
            expect_equal(int(value(vm, plain, "size")) * 512, 64 * MIB, "size of plain.raw")
            expect_equal(int(value(vm, dynamic, "size")) * 512, 10240 * MIB, "size of dynamic.vhdx")
            expect_equal(value(vm, plain, "queue/logical_block_size"), "512", "sector of plain.raw")
            expect_equal(value(vm, four, "queue/logical_block_size"), "4096", "sector of four.raw")
            expect_equal(value(vm, plain, "device/vendor"), "Msft", "vendor")
            expect_equal(value(vm, plain, "device/model"), "Virtual Disk", "model")
            expect_equal(value(vm, plain, "queue/rotational"), "0", "rotational")
            expect(value(vm, plain, "device/wwid").startswith("naa.6"), value(vm, plain, "device/wwid"))
            listed = vm.sh("/usr/bin/lsblk -S -o NAME,TYPE,VENDOR,MODEL,TRAN 2>/dev/null || /usr/bin/lsblk -S")
            expect(listed.count("Msft") == 5, listed)
        with suite.check("write caches and read-only as configured"):
            expect_equal(value(vm, plain, "queue/write_cache"), "write back", "cache of plain.raw")
            expect_equal(value(vm, four, "queue/write_cache"), "write through", "cache of four.raw")
            expect_equal(value(vm, dynamic, "ro"), "1", "dynamic.vhdx read-only")
            expect(vm.sh(f"dd if=/dev/zero of=/dev/{dynamic} bs=4096 count=1 2>&1; true").find("1+0 records out") < 0,
                   "a read-only disk took a write")
        with suite.check("a queue for each processor"):
            expect_equal(vm.sh(f"ls /sys/block/{plain}/mq | wc -l").strip(), "4", "queues")
        with suite.check("the DVD mounts"):
            expect_equal(vm.sh("mount -t iso9660 -o ro /dev/sr0 /mnt && cat /mnt/hello.txt; umount /mnt").strip(),
                         "first", "the file")
        with suite.check("clean dmesg"):
            noise = vm.sh("dmesg -r | grep -E '^<[0-3]>' | grep -vE 'cpc|_CPC'; true")
            expect(not noise.strip(), noise)


# The file, the options of `lis disk create`, and those of --disk. A differencing image has a parent made in the same way.
KINDS = {
    "raw": ("disk.raw", (), ""), "raw 4K": ("four.raw", (), ",sector=4096"),
    "VHD fixed": ("fixed.vhd", ("--kind", "fixed"), ""), "VHD dynamic": ("dynamic.vhd", (), ""),
    "VHD differencing": ("child.vhd", (), ""),
    "VHDX fixed": ("fixed.vhdx", ("--kind", "fixed"), ""), "VHDX dynamic": ("dynamic.vhdx", (), ""),
    "VHDX dynamic 512": ("native.vhdx", ("--physical-sector-size", "512"), ""),
    "VHDX dynamic 4K": ("four.vhdx", ("--sector-size", "4096"), ""), "VHDX differencing": ("child.vhdx", (), ""),
    "VHDX differencing 4K": ("child-four.vhdx", ("--sector-size", "4096"), ""),
}


def make(suite, place, kind, size):
    """An image of a kind; returns its --disk option."""
    name, how, option = KINDS[kind]
    if name.startswith("child"):
        parent = create(suite, place / f"parent-of-{name}", size, *how)
        create(suite, place / name, "--parent", str(parent))
    else:
        create(suite, place / name, size, *how)
    return f"--disk={place / name}{option}"


def file_systems(suite, guest, kinds, system):
    """mkfs, write, reboot, verify, on every format."""
    place = folder(suite, f"fs-{guest}-{system}")
    options = []
    for number, kind in enumerate(kinds):
        options.append(f"{make(suite, place, kind, '320M' if system == 'xfs' else '96M')},lun={number}")
    with Machine(suite, guest, processors=2, disks=True, options=options) as vm:
        drivers(vm)
        disks = attached(vm, len(kinds))
        hashes = {}
        format = {"ext4": "/usr/sbin/mke2fs -q -F -t ext4", "xfs": "/usr/sbin/mkfs.xfs -q -f"}[system]
        check = {"ext4": "/usr/sbin/e2fsck -fn", "xfs": "/usr/sbin/xfs_repair -n"}[system]
        for number, kind in enumerate(kinds):
            with suite.check(f"{system} on {kind}: made and written"):
                disk = disks[(0, number)]
                vm.sh(f"{format} /dev/{disk} && mount -t {system} /dev/{disk} /mnt && "
                      f"dd if=/dev/urandom of=/mnt/data bs=64k count=128 2>/dev/null && sync", 180)
                hashes[number] = vm.sh("md5sum </mnt/data; umount /mnt")
        since = vm.console.mark()
        vm.lis("vm", "restart", vm.name)
        vm.rebooted(since)
        drivers(vm)
        disks = attached(vm, len(kinds))
        for number, kind in enumerate(kinds):
            with suite.check(f"{system} on {kind}: equal after a reboot, checked"):
                disk = disks[(0, number)]
                vm.sh(f"mount -t {system} /dev/{disk} /mnt")
                expect_equal(vm.sh("md5sum </mnt/data; umount /mnt"), hashes[number], "hash")
                vm.sh(f"{check} /dev/{disk} >/tmp/check 2>&1 || {{ cat /tmp/check; false; }}", 120)
        vm.sh("sync")
        vm.lis("vm", "stop", vm.name)
        vm.ended()
    for kind in kinds:
        with suite.check(f"{kind}: the file is sound"):
            path = place / KINDS[kind][0]
            done = subprocess.run([suite.lis, "disk", "check", str(path)], capture_output=True, text=True)
            expect(done.returncode == 0, done.stdout + done.stderr)
            # qemu-img knows no VHDX with sectors of 4096 bytes, and no differencing image.
            if path.suffix != ".raw" and not path.name.startswith(("fixed.vhd", "four", "child")):
                done = subprocess.run(["qemu-img", "check", str(path)], capture_output=True, text=True)
                # 63: the format has no check.
                expect(done.returncode in (0, 63), done.stdout + done.stderr)
            path.unlink()
    for parent in place.glob("parent-of-*"):
        parent.unlink()


def trimming(suite, guest):
    place = folder(suite, f"trim-{guest}")
    names = ["disk.raw", "dynamic.vhdx"]
    options = [f"--disk={create(suite, place / name, '256M')}" for name in names]
    with Machine(suite, guest, disks=True, options=options) as vm:
        drivers(vm)
        disks = attached(vm, 2)
        for number, name in enumerate(names):
            with suite.check(f"fstrim shrinks {name}"):
                disk = disks[(0, number)]
                vm.sh(f"/usr/sbin/mke2fs -q -F -t ext4 /dev/{disk} && mount -t ext4 /dev/{disk} /mnt && "
                      "dd if=/dev/urandom of=/mnt/data bs=1M count=96 2>/dev/null && sync", 180)
                full = os.stat(place / name).st_blocks * 512
                vm.sh("rm /mnt/data && sync && fstrim /mnt && umount /mnt && sync", 120)
                after = os.stat(place / name).st_blocks * 512
                suite.note(f"{name}: {full >> 20} MiB full, {after >> 20} MiB after")
                expect(full > 96 * MIB and after < full - 64 * MIB, f"{full} -> {after}")


def changing(suite, guest):
    place = folder(suite, f"change-{guest}")
    options = [f"--disk={create(suite, place / 'base.vhdx', '64M')}",
               f"--dvd={iso(place / 'first.iso', 'first')}"]
    second = iso(place / "second.iso", "second")
    with Machine(suite, guest, processors=2, disks=True, options=options) as vm:
        drivers(vm)
        base = attached(vm, 1)[(0, 0)]
        with suite.check("a disk grows and shrinks without a rescan in the guest"):
            vm.lis("vm", "disk", "resize", vm.name, "0:0", "128M")
            vm.sh(f"for i in $(seq 50); do [ $(cat /sys/block/{base}/size) = 262144 ] && exit; usleep 200000; done; false")
            vm.lis("vm", "disk", "resize", vm.name, "0:0", "--", "-32M")
            vm.sh(f"for i in $(seq 50); do [ $(cat /sys/block/{base}/size) = 196608 ] && exit; usleep 200000; done; false")
        with suite.check("disks come and go under load, only the removed one errs"):
            vm.sh(f"setsid sh -c 'while :; do dd if=/dev/{base} of=/dev/null bs=64k 2>>/run/load.errors || "
                  "echo failed >>/run/load.errors; echo >>/run/load; done' >/dev/null 2>&1 </dev/null &")
            for number in range(2, 6):
                create(suite, place / f"hot{number}.vhdx", "64M")
                vm.lis("vm", "disk", "add", vm.name, str(place / f"hot{number}.vhdx"), "--lun", str(number))
            attached(vm, 5)
            for number in (4, 2, 5, 3):
                vm.lis("vm", "disk", "remove", vm.name, f"0:{number}")
            attached(vm, 1)
            expect("failed" not in vm.sh("cat /run/load.errors"), "the disk that stayed had an error")
            expect(int(vm.sh("wc -l </run/load")) > 0, "the load did nothing")
        with suite.check("a locked disc is not ejected, unless by force; another one mounts"):
            vm.sh("mount -t iso9660 -o ro /dev/sr0 /mnt")
            dvd = next(one for one in vm.json("vm", "disk", "list", vm.name) if one["kind"] == "dvd")
            drive = f"{dvd['controller']}:{dvd['lun']}"
            vm.refused(22, "vm", "dvd", "eject", vm.name, "--drive", drive)
            vm.sh("umount /mnt")
            vm.lis("vm", "dvd", "eject", vm.name)
            vm.lis("vm", "dvd", "insert", vm.name, str(second), "--drive", drive)
            end = time.monotonic() + 10
            while vm.sh("mount -t iso9660 -o ro /dev/sr0 /mnt 2>/dev/null && cat /mnt/hello.txt; true").strip() != "second":
                expect(time.monotonic() < end, "the second disc does not mount")
                time.sleep(0.5)
            vm.sh("umount /mnt")


def full_host(suite, guest):
    """The image's file system is full: the guest stands still, and goes on when there is room."""
    place = folder(suite, f"full-{guest}")
    mount = place / "small"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24M", "tmpfs", str(mount)], capture_output=True, text=True)
    if done.returncode != 0:
        suite.note(f"not run: {done.stderr.strip()} (needs to mount a file system)")
        return
    try:
        options = [f"--disk={create(suite, mount / 'disk.vhdx', '64M')}"]
        (mount / "ballast").write_bytes(bytes(8 * MIB))
        with Machine(suite, guest, disks=True, options=options) as vm:
            drivers(vm)
            disk = attached(vm, 1)[(0, 0)]
            with suite.check("a full file system pauses the machine, the API answers, and it goes on by itself"):
                vm.sh(f"setsid sh -c 'dd if=/dev/zero of=/dev/{disk} bs=1M count=20 conv=fsync 2>/run/dd; echo $? >/run/end'"
                      " >/dev/null 2>&1 </dev/null &")
                vm.wait_for("paused for want of space", lambda now: now["state"] == "paused-critical", 60)
                started = time.monotonic()
                vm.show()
                suite.note(f"lis vm show took {time.monotonic() - started:.1f} s meanwhile")
                (mount / "ballast").unlink()
                vm.wait_for("running again", lambda now: now["state"] == "running", 30)
                expect_equal(vm.sh("for i in $(seq 100); do [ -e /run/end ] && break; usleep 200000; done; cat /run/end").strip(),
                             "0", "the guest's write")
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False)


case("disks: what the guest sees, 6.1-cloud", depth="normal", guest="6.1-cloud")(facts)
case("disks: what the guest sees, 6.12-cloud", depth="normal", guest="6.12-cloud")(facts)
case("disks: ext4, 6.1-cloud", depth="normal", guest="6.1-cloud", kinds=list(KINDS), system="ext4")(file_systems)
case("disks: ext4, 6.12-cloud", depth="full", guest="6.12-cloud", kinds=list(KINDS), system="ext4")(file_systems)
case("disks: xfs, 6.1-cloud", depth="full", guest="6.1-cloud", kinds=list(KINDS), system="xfs")(file_systems)
case("disks: xfs, 6.12-cloud", depth="full", guest="6.12-cloud", kinds=["VHDX dynamic"], system="xfs")(file_systems)
case("disks: xfs on each format, 6.12-cloud", depth="full", guest="6.12-cloud", kinds=list(KINDS), system="xfs")(file_systems)
case("disks: fstrim, 6.1-cloud", depth="normal", guest="6.1-cloud")(trimming)
case("disks: fstrim, 6.12-cloud", depth="full", guest="6.12-cloud")(trimming)
case("disks: hot changes, 6.1-cloud", depth="normal", guest="6.1-cloud")(changing)
case("disks: hot changes, 6.12-cloud", depth="full", guest="6.12-cloud")(changing)
case("disks: a full host, 6.1-cloud", depth="normal", guest="6.1-cloud")(full_host)
