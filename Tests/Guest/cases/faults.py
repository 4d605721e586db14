# SPDX-License-Identifier: Apache-2.0
"""Faults of the host's storage, put in below the image formats, as a guest with several disks sees them."""

import contextlib
import errno
import subprocess
import time

from cases.disks import attached, create, drivers, folder
from harness.dmesg import suspicious
from harness.faults import Fault, FaultyFolder
from harness.machine import Machine
from harness.suite import case, expect, expect_equal

# The host's commands are slow where everything is nested; standing still would take longer by far.
PATIENCE = 8


FILES = ["plain.raw", "dynamic.vhdx", "old.vhd"]


class Bench:
    """A guest with disks whose files fail on demand."""

    def __init__(self, suite, vm, faulty):
        self.suite = suite
        self.vm = vm
        self.faulty = faulty
        drivers(vm)

    def answers(self):
        """The control API answers at once; returns the longest time."""
        longest = 0
        for command in [("vm", "list"), ("vm", "show", self.vm.name), ("vm", "disk", "list", self.vm.name)]:
            start = time.monotonic()
            self.vm.json(*command)
            longest = max(longest, time.monotonic() - start)
        expect(longest < PATIENCE, f"an answer took {longest:.1f} s")
        return longest

    def start(self, command, name):
        # Not at once: a guest that stands still in the middle of its answer gives none.
        self.vm.sh(f"rm -f /run/{name}; setsid sh -c 'sleep 1; {command} >/run/{name}.out 2>&1; echo $? >/run/{name}' "
                   ">/dev/null 2>&1 </dev/null &")

    def ended(self, name, timeout=60):
        self.vm.sh(f"for i in $(seq {timeout * 5}); do [ -s /run/{name} ] && break; usleep 200000; done", timeout + 30)
        found = self.vm.sh(f"cat /run/{name} || echo still running")
        expect_equal(found, "0", f"exit code in the guest ({self.vm.sh(f'cat /run/{name}.out')})")

    def silent(self):
        expect_equal(suspicious(self.vm.sh("dmesg -r")), [], "the guest's log")


class RawBench(Bench):
    """With a sound disk under load beside them."""

    def __init__(self, suite, vm, faulty):
        super().__init__(suite, vm, faulty)
        disks = attached(vm, len(FILES) + 1)
        self.sound = disks[(0, 0)]
        self.disks = {name: disks[(0, number + 1)] for number, name in enumerate(FILES)}
        vm.sh(f"setsid sh -c 'while dd if=/dev/urandom of=/dev/{self.sound} bs=64k count=4 oflag=direct conv=fsync 2>/run/why && "
              f"dd if=/dev/{self.sound} of=/dev/null bs=64k count=4 iflag=direct 2>/run/why; do echo >>/run/load; done; "
              "touch /run/load.failed' >/dev/null 2>&1 </dev/null &")

    def load(self):
        expect(self.vm.sh("[ -e /run/load.failed ] && cat /run/why; true") == "", "the sound disk failed")
        return int(self.vm.sh("wc -l </run/load"))

    def write(self, disk, place, count=1):
        return f"dd if=/run/data of=/dev/{disk} bs=4096 count={count} seek={place} oflag=direct conv=notrunc,fsync"

    def read(self, disk, place, count=1):
        return f"dd if=/dev/{disk} bs=4096 count={count} skip={place} iflag=direct 2>/dev/null"

    def fails(self, command, *words):
        """A command in the guest fails, and the kernel's log says why, once."""
        self.vm.sh("dmesg -c >/dev/null")
        self.vm.sh(f"! {{ {command} >/dev/null 2>&1; }}", 120)
        log = self.vm.sh("dmesg")
        for word in words:
            expect(word in log, f"the guest's log lacks {word!r}:\n{log}")


def errors(bench, name, disk):
    """A read, a write, a flush that fail on the host fail in the guest, and nothing else does."""
    suite, vm, faulty = bench.suite, bench.vm, bench.faulty
    vm.sh("dd if=/dev/urandom of=/run/data bs=4096 count=256 2>/dev/null")
    vm.sh(bench.write(disk, 1024, 256) + " 2>&1")
    with suite.check(f"{name}: a read error is a medium error at its place, and no more"):
        # Where the blocks of the image lie in the file is the image's affair: the fault finds them by a read.
        fault = faulty.add(Fault(name, {"read"}, code=errno.EIO))
        bench.fails(bench.read(disk, 1030), "Medium Error", "Unrecovered read error", f"dev {disk}, sector {1030 * 8}")
        expect(fault.hits > 0, "no read arrived")
        suite.note(f"{name}: the guest's read led to {fault.hits} reads that failed; answers in {bench.answers():.1f} s")
        faulty.clear()
        expect_equal(vm.sh(bench.read(disk, 1024, 256) + " | md5sum"), vm.sh("md5sum </run/data"), "hash afterwards")
    with suite.check(f"{name}: a write error is a medium error, the next write succeeds"):
        faulty.add(Fault(name, {"write"}, code=errno.EIO))
        bench.fails(bench.write(disk, 1030), "Medium Error", "Write error", f"dev {disk}, sector {1030 * 8}")
        bench.answers()
        faulty.clear()
        vm.sh(bench.write(disk, 1024, 256) + " 2>&1")
        expect_equal(vm.sh(bench.read(disk, 1024, 256) + " | md5sum"), vm.sh("md5sum </run/data"), "hash afterwards")
    with suite.check(f"{name}: a flush that fails is told to the guest"):
        faulty.add(Fault(name, {"flush"}, code=errno.EIO))
        bench.fails(bench.write(disk, 1500))
        bench.answers()
        faulty.clear()
        expect_equal(vm.sh(bench.read(disk, 1024, 256) + " | md5sum"), vm.sh("md5sum </run/data"), "hash afterwards")
        place = f"0:{FILES.index(name) + 1}"
        states = {one["lun"]: one["state"] for one in vm.json("vm", "disk", "list", vm.name)}
        if name.endswith(".vhdx"):
            # What is durable of its metadata is unknown: no more writes until the image has been opened again.
            expect_equal(states, {0: "attached", 1: "attached", 2: "failed", 3: "attached"}, "states of the disks")
            bench.fails(bench.write(disk, 1500), "Medium Error", "Write error")
            vm.lis("vm", "disk", "remove", vm.name, place)
            attached(vm, len(FILES))
            vm.lis("vm", "disk", "add", vm.name, str(bench.faulty.mount / name), "--lun", place[2:])
            bench.disks[name] = disk = attached(vm, len(FILES) + 1)[(0, int(place[2:]))]
            expect_equal(vm.sh(bench.read(disk, 1024, 256) + " | md5sum"), vm.sh("md5sum </run/data"), "hash in the end")
        vm.sh(bench.write(disk, 1024, 256) + " 2>&1")


def short_transfers(bench, name, disk):
    suite, vm, faulty = bench.suite, bench.vm, bench.faulty
    with suite.check(f"{name}: short transfers are gone on with"):
        vm.sh("dd if=/dev/urandom of=/run/data bs=4096 count=128 2>/dev/null")
        wanted = vm.sh("md5sum </run/data")
        fault = faulty.add(Fault(name, {"read", "write"}, keep=1000))
        vm.sh(bench.write(disk, 2048, 128) + " 2>&1", 180)
        expect_equal(vm.sh(bench.read(disk, 2048, 128) + " | md5sum", 180), wanted, "hash with short reads")
        bench.answers()
        faulty.clear()
        suite.note(f"{name}: {fault.hits} transfers cut")
        expect(fault.hits > 200, f"only {fault.hits} transfers were cut")
        expect_equal(vm.sh(bench.read(disk, 2048, 128) + " | md5sum"), wanted, "hash afterwards")


def no_space(bench, name, disk):
    suite, vm, faulty = bench.suite, bench.vm, bench.faulty
    with suite.check(f"{name}: no space pauses the machine until there is some"):
        vm.sh("dd if=/dev/urandom of=/run/data bs=4096 count=512 2>/dev/null")
        wanted = vm.sh("md5sum </run/data")
        faulty.add(Fault(name, {"write", "allocate", "resize"}, code=errno.ENOSPC))
        bench.start(bench.write(disk, 8192, 512), "full")
        vm.wait_for("paused for want of space", lambda now: now["state"] == "paused-critical", 30)
        suite.note(f"{name}: answers in {bench.answers():.1f} s while paused")
        states = [one["state"] for one in vm.json("vm", "disk", "list", vm.name)]
        expect_equal(states, ["no-space" if one == name else "attached" for one in ["sound.raw", *FILES]],
                     "states of the disks")
        faulty.clear()
        vm.wait_for("running again", lambda now: now["state"] == "running", 30)
        bench.ended("full")
        expect_equal(vm.sh(bench.read(disk, 8192, 512) + " | md5sum"), wanted, "hash")


def delays(bench):
    suite, vm, faulty = bench.suite, bench.vm, bench.faulty
    with suite.check("a write, a flush and an allocation that take 30 s delay no other disk and no command"):
        vm.sh("dmesg -c >/dev/null")
        late = [faulty.add(Fault("plain.raw", {"write"}, times=1, seconds=30)),
                faulty.add(Fault("dynamic.vhdx", {"flush"}, times=1, seconds=30)),
                faulty.add(Fault("old.vhd", {"write", "resize"}, times=1, seconds=30))]
        started = time.monotonic()
        # Two writers of the VHD: the second wants to change the table that the first is changing.
        writes = [("plain.raw", 1024), ("dynamic.vhdx", 1024), ("old.vhd", 10240), ("old.vhd", 12288)]
        for number, (name, place) in enumerate(writes):
            bench.start(bench.write(bench.disks[name], place), f"late{number}")
        vm.sh("sleep 2")
        longest, before = 0, bench.load()
        while time.monotonic() - started < 25:
            longest = max(longest, bench.answers())
        done = bench.load() - before
        expect(all(one.hits == 1 for one in late), "the delays were not met")
        expect(vm.sh("cat /run/late? 2>/dev/null; true") == "", "the late requests ended early")
        expect(done > 5, f"the sound disk did {done} rounds meanwhile")
        for number in range(len(writes)):
            bench.ended(f"late{number}", 90)
        suite.note(f"all ended after {time.monotonic() - started:.0f} s; the sound disk did {done} rounds meanwhile; "
                   f"the slowest answer took {longest:.1f} s")
        bench.silent()


@contextlib.contextmanager
def faulty_folder(suite, place):
    """None where there can be none."""
    try:
        faulty = FaultyFolder(place / "faulty", place / "files").__enter__()
    except OSError as error:
        suite.note(f"not run: {error} (needs root and /dev/fuse)")
        yield None
        return
    try:
        yield faulty
    finally:
        faulty.__exit__(None, None, None)


@contextlib.contextmanager
def during(faulty, *faults):
    try:
        for fault in faults:
            faulty.add(fault)
        yield
    finally:
        faulty.clear()


def below_the_format(suite, guest):
    place = folder(suite, f"faults-{guest}")
    sound = create(suite, place / "sound.raw", "16M")
    with faulty_folder(suite, place) as faulty:
        if faulty is None:
            return
        options = [f"--disk={sound}"]
        for name in FILES:
            create(suite, place / "files" / name, "64M", *([] if name == "plain.raw" else ["--block-size", "1M"]))
            options.append(f"--disk={place}/faulty/{name}")
        with Machine(suite, guest, processors=2, disks=True, options=options) as vm:
            bench = RawBench(suite, vm, faulty)
            for name in FILES:
                errors(bench, name, bench.disks[name])
                short_transfers(bench, name, bench.disks[name])
                no_space(bench, name, bench.disks[name])
            delays(bench)
            with suite.check("the sound disk never failed"):
                suite.note(f"{bench.load()} rounds of load")
            vm.sh("touch /run/load.failed")
            vm.lis("vm", "stop", vm.name)
            vm.ended()
        for name in FILES:
            with suite.check(f"{name} is sound afterwards"):
                done = subprocess.run([suite.lis, "disk", "check", place / "files" / name], capture_output=True, text=True)
                expect(done.returncode == 0, done.stdout + done.stderr)


MAKE = {"ext4": "/usr/sbin/mke2fs -q -F -t ext4", "xfs": "/usr/sbin/mkfs.xfs -q -f"}
# After a failed write: what a start would do, then a look that finds nothing.
CHECK = {"ext4": "{ /usr/sbin/e2fsck -p DISK; [ $? -le 1 ]; } && /usr/sbin/e2fsck -fn DISK",
         "xfs": "/usr/sbin/xfs_repair -n DISK"}


def below_a_file_system(suite, guest, system):
    """What a file system of the guest makes of the same faults, on an image that allocates as it is written."""
    place = folder(suite, f"faults-{guest}-{system}")
    name = "dynamic.vhdx"
    with faulty_folder(suite, place) as faulty:
        if faulty is None:
            return
        create(suite, place / "files" / name, "320M", "--block-size", "1M")
        with Machine(suite, guest, processors=2, disks=True, options=[f"--disk={place}/faulty/{name}"]) as vm:
            bench = Bench(suite, vm, faulty)
            disk = attached(vm, 1)[(0, 0)]
            with suite.check(f"{system} is made"):
                vm.sh(f"{MAKE[system]} /dev/{disk} && mount -t {system} /dev/{disk} /mnt && "
                      "for f in data more; do dd if=/dev/urandom of=/run/$f bs=64k count=64 2>/dev/null; done; "
                      "dd if=/run/data of=/mnt/data bs=64k conv=fsync 2>/dev/null; sync; dmesg -c >/dev/null", 180)
            wanted, more = vm.sh("md5sum </run/data"), vm.sh("md5sum </run/more")
            with suite.check("a read error is the reader's, and the file system goes on"):
                with during(faulty, Fault(name, {"read"}, code=errno.EIO)):
                    said = vm.sh("dd if=/mnt/data of=/dev/null bs=64k iflag=direct 2>&1 && echo succeeded; true")
                    # What Linux calls a medium error.
                    expect("No data available" in said and "succeeded" not in said, said)
                    bench.answers()
                expect_equal(vm.sh("dd if=/mnt/data bs=64k iflag=direct 2>/dev/null | md5sum"), wanted, "hash afterwards")
                vm.sh("touch /mnt/alive && sync")
            vm.sh("dmesg -c >/dev/null")
            with suite.check("no space pauses the machine, and the file system sees nothing of it"):
                # A file system writes by itself, too: the guest may stand still as soon as there is no space.
                bench.start("sleep 5; dd if=/run/more of=/mnt/more bs=64k conv=fsync", "full")
                with during(faulty, Fault(name, {"write", "allocate", "resize"}, code=errno.ENOSPC)):
                    vm.wait_for("paused for want of space", lambda now: now["state"] == "paused-critical", 60)
                    suite.note(f"answers in {bench.answers():.1f} s while paused")
                vm.wait_for("running again", lambda now: now["state"] == "running", 30)
                bench.ended("full")
                bench.silent()
                expect_equal(vm.sh("dd if=/mnt/more bs=64k iflag=direct 2>/dev/null | md5sum"), more, "hash")
            with suite.check("a write and a flush that take 30 s are waited for, and the file system sees nothing of it"):
                late = [Fault(name, {what}, times=1, seconds=30) for what in ["write", "flush"]]
                started = time.monotonic()
                with during(faulty, *late):
                    bench.start("dd if=/run/more of=/mnt/late bs=64k conv=fsync", "late")
                    while time.monotonic() - started < 25:
                        bench.answers()
                    bench.ended("late", 120)
                suite.note(f"ended after {time.monotonic() - started:.0f} s")
                expect(all(one.hits == 1 for one in late), "the delays were not met")
                bench.silent()
                expect_equal(vm.sh("dd if=/mnt/late bs=64k iflag=direct 2>/dev/null | md5sum"), more, "hash")
            with suite.check("a write error is told to who asked for it to be durable"):
                with during(faulty, Fault(name, {"write"}, code=errno.EIO)):
                    vm.sh("! dd if=/run/more of=/mnt/failed bs=64k conv=fsync 2>/run/why", 120)
                    bench.answers()
            with suite.check("what was durable before is there when the disk has been put in again, the rest is consistent"):
                vm.sh("umount /mnt", 60)
                # Its metadata may have been on their way: it takes no more writes until it has been opened again.
                vm.lis("vm", "disk", "remove", vm.name, "0:0")
                attached(vm, 0)
                vm.lis("vm", "disk", "add", vm.name, str(faulty.mount / name), "--lun", "0")
                disk = attached(vm, 1)[(0, 0)]
                vm.sh(f"mount -t {system} /dev/{disk} /mnt", 60)
                for file, expected in [("data", wanted), ("more", more), ("late", more)]:
                    expect_equal(vm.sh(f"md5sum </mnt/{file}"), expected, file)
                vm.sh("umount /mnt", 60)
                check = CHECK[system].replace("DISK", f"/dev/{disk}")
                vm.sh(f"{{ {check}; }} >/run/check 2>&1 || {{ cat /run/check; false; }}", 120)
            vm.lis("vm", "stop", vm.name)
            vm.ended()
        with suite.check("the image is sound afterwards"):
            done = subprocess.run([suite.lis, "disk", "check", place / "files" / name], capture_output=True, text=True)
            expect(done.returncode == 0, done.stdout + done.stderr)


case("disks: faults below the format, 6.1-cloud", depth="full", guest="6.1-cloud")(below_the_format)
case("disks: faults below the format, 6.12-cloud", depth="full", guest="6.12-cloud")(below_the_format)
for guest in ["6.1-cloud", "6.12-cloud"]:
    for system in ["ext4", "xfs"]:
        case("disks: faults below {system}, {guest}", depth="full", guest=guest, system=system)(below_a_file_system)
