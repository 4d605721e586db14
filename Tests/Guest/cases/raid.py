# SPDX-License-Identifier: Apache-2.0
"""md RAID over several LUNs under fio, which verifies what it reads. Both programs are those of a Debian on a disk."""

import re
import subprocess

from cases.disks import attached, create, drivers, folder
from harness import image
from harness.machine import Machine
from harness.suite import case, expect, expect_equal

MEMBERS = [("a.vhdx", ("--block-size", "1M")), ("b.vhd", ()), ("c.raw", ()), ("d.vhdx", ("--kind", "fixed"))]
TOOLS = 9


def fio(vm, array, *options, timeout=400):
    """Runs fio in the guest; returns what it says of itself."""
    words = " ".join(["--name=array", f"--filename={array}", "--direct=1", "--ioengine=libaio", "--verify=crc32c",
                      "--verify_fatal=1", "--verify_state_save=0", "--do_verify=1", *options])
    output = vm.sh(f"chroot /mnt fio {words} 2>&1", timeout)
    expect(re.search(r"err= 0", output) and "verify:" not in output, output)
    # "READ: bw=…, io=…" of the summary.
    return "; ".join(re.sub(r"\s+", " ", line).strip() for line in output.splitlines()
                     if re.match(r"\s+(READ|WRITE): ", line))


def over_raid(suite, guest, level):
    place = folder(suite, f"raid{level}-{guest}")
    tools = place / "tools.raw"
    subprocess.run(["cp", "--sparse=always", image.debian_root(), tools], check=True)
    options = [f"--disk={tools},read-only,lun={TOOLS}"]
    for number, (name, how) in enumerate(MEMBERS):
        # Two controllers, and each kind of image.
        options.append(f"--disk={create(suite, place / name, '128M', *how)},controller={number % 2},lun={number // 2}")
    # RAID5 does four transfers for a small write.
    size = "32M" if level == 5 else "96M"
    with Machine(suite, guest, processors=2, memory="512M", disks=True, options=options) as vm:
        drivers(vm)
        disks = attached(vm, 5)
        members = [disks[(number % 2, number // 2)] for number in range(len(MEMBERS))]
        vm.sh(f"modprobe raid{'456' if level == 5 else level} 2>&1 && mount -t ext4 -o ro,noload /dev/{disks[(0, TOOLS)]}1 /mnt && "
              "mount -o bind /dev /mnt/dev && mount -t proc proc /mnt/proc && mount -t sysfs sys /mnt/sys && "
              "mount -t tmpfs run /mnt/run && mount -t tmpfs tmp /mnt/tmp", 120)
        create_array = (f"chroot /mnt mdadm --create /dev/md0 --run --metadata=1.2 --level={level} "
                        f"--raid-devices={len(members)} {' '.join('/dev/' + one for one in members)} 2>&1")
        with suite.check(f"RAID{level} of four LUNs is made"):
            vm.sh(create_array, 60)
            expect_equal(vm.sh("cat /sys/block/md0/md/level"), f"raid{level}", "level")
        with suite.check("fio writes and verifies at random"):
            suite.note(fio(vm, "/dev/md0", "--rw=randwrite", "--bsrange=4k-128k", "--iodepth=16", f"--size={size}"))
        with suite.check("fio mixes reads and writes, and verifies"):
            suite.note(fio(vm, "/dev/md0", "--rw=randrw", "--bs=4k", "--iodepth=32", "--offset=100M", f"--size={size}",
                           "--io_size=12M"))
        if level == 5:
            with suite.check("the array stays right when a LUN is taken away under load"):
                vm.sh("setsid sh -c 'chroot /mnt fio --name=array --verify_state_save=0 --filename=/dev/md0 --direct=1 --ioengine=libaio "
                      "--verify=crc32c --verify_fatal=1 --do_verify=1 --rw=randwrite --bs=16k --iodepth=8 --size=32M "
                      ">/run/fio.out 2>&1; echo $? >/run/fio' >/dev/null 2>&1 </dev/null &")
                vm.sh("for i in $(seq 100); do grep -q . /run/fio.out && break; usleep 100000; done; sleep 2")
                vm.lis("vm", "disk", "remove", vm.name, "1:1")
                vm.sh("for i in $(seq 1200); do [ -s /run/fio ] && break; usleep 200000; done", 300)
                expect_equal(vm.sh("cat /run/fio"), "0", f"fio's exit code ({vm.sh('cat /run/fio.out')})")
                expect_equal(vm.sh("cat /sys/block/md0/md/degraded"), "1", "members missing")
        with suite.check("the array is put together again after a restart, and xfs on it keeps its files"):
            vm.sh("chroot /mnt mkfs.xfs -q -f /dev/md0 && mkdir -p /run/x && mount -t xfs /dev/md0 /run/x && "
                  "dd if=/dev/urandom of=/run/x/data bs=64k count=256 2>/dev/null", 180)
            wanted = vm.sh("md5sum </run/x/data; umount /run/x; chroot /mnt mdadm --stop /dev/md0 2>/dev/null", 60)
            since = vm.console.mark()
            vm.lis("vm", "restart", vm.name)
            vm.rebooted(since)
            drivers(vm)
            disks = attached(vm, 4 if level == 5 else 5)
            vm.sh(f"modprobe raid{'456' if level == 5 else level} 2>&1 && mount -t ext4 -o ro,noload /dev/{disks[(0, TOOLS)]}1 /mnt && "
                  "mount -o bind /dev /mnt/dev && mount -t proc proc /mnt/proc && mount -t sysfs sys /mnt/sys && "
                  "mount -t tmpfs run /mnt/run", 120)
            members = [disks[(number % 2, number // 2)] for number in range(len(MEMBERS))
                       if (number % 2, number // 2) in disks]
            vm.sh(f"chroot /mnt mdadm --assemble --run /dev/md0 {' '.join('/dev/' + one for one in members)} 2>&1", 60)
            expect_equal(vm.sh("mkdir -p /run/x && mount -t xfs /dev/md0 /run/x && md5sum </run/x/data; umount /run/x"),
                         wanted, "hash")
        vm.sh("sync")
        vm.lis("vm", "stop", vm.name)
        vm.ended()
    with suite.check("the images are sound"):
        for name, _ in MEMBERS:
            done = subprocess.run([suite.lis, "disk", "check", place / name], capture_output=True, text=True)
            expect(done.returncode == 0, done.stdout + done.stderr)
    for path in place.iterdir():
        path.unlink()


for guest in ["6.1-cloud", "6.12-cloud"]:
    for level in [0, 5]:
        case("disks: fio verifies over RAID{level}, {guest}", depth="full", guest=guest, level=level)(over_raid)
