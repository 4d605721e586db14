# SPDX-License-Identifier: Apache-2.0
"""kdump: the crash kernel writes the memory of the one that crashed to a disk, and sends it through an adapter."""

import base64
import hashlib
import mmap
import os
import shutil
import struct
import subprocess

from cases.disks import attached, create, drivers, folder
from cases.network import LEASE, post, server
from harness import image
from harness.machine import Machine
from harness.suite import case, expect, expect_equal

PAGE = 4096
SENT = 8 << 20


def notes(core):
    """The bytes of the notes of an ELF core."""
    expect_equal(core[:5], b"\x7fELF\x02", "begin of the dump")
    expect_equal(struct.unpack_from("<H", core, 16)[0], 4, "ELF type (core)")
    offset, = struct.unpack_from("<Q", core, 32)
    size, count = struct.unpack_from("<HH", core, 54)
    for number in range(count):
        kind, _, at, _, _, length = struct.unpack_from("<IIQQQQ", core, offset + number * size)
        if kind == 4:
            return core[at:at + length]
    return b""


def dump(suite, guest, processors=2):
    place = folder(suite, f"dump-{guest}")
    disk = create(suite, place / "disk.vhdx", "1G")
    has_network = shutil.which("passt") is not None
    files = {"boot/vmlinuz": image.kernel(guest).read_bytes(),
             "boot/initramfs": image.initramfs_with_network(guest, suite.ours, disks=True).read_bytes()}
    options = [f"--disk={disk}"] + (["--nic", "user"] if has_network else [])
    with Machine(suite, guest, processors=processors, memory="640M", disks=True, network=True, daemons=False, files=files,
                 options=options, command_line="crashkernel=256M") as vm:
        drivers(vm)
        name = attached(vm, 1)[(0, 0)]
        vm.sh(f"/usr/sbin/mke2fs -q -F -t ext4 /dev/{name}", 120)
        # What has to be in the dump, page by page: nobody else has such pages.
        vm.sh("dd if=/dev/urandom of=/run/mark bs=4k count=64 2>/dev/null")
        marks = vm.sh("for i in $(seq 0 63); do dd if=/run/mark bs=4k skip=$i count=1 2>/dev/null | md5sum; done | cut -c 1-32")
        marks = set(marks.split())
        expect_equal(len(marks), 64, "pages")
        with suite.check("sysrq-c starts the crash kernel"):
            vm.sh("kexec -p /boot/vmlinuz --initrd=/boot/initramfs "
                  "--command-line='console=ttyS0 quiet panic=-1 nr_cpus=1'", 120)
            vm.sh("echo 1 >/proc/sys/kernel/sysrq; sync")
            since = vm.console.mark()
            # The disk is busy when it happens, so the crash kernel finds requests that nobody waits for any more.
            vm.sh(f"setsid sh -c 'while :; do dd if=/dev/{name} of=/dev/null bs=64k iflag=direct; done' "
                  ">/dev/null 2>&1 </dev/null & sleep 1")
            vm.console.send(b"0 echo c >/proc/sysrq-trigger\n")
            vm.rebooted(since, 180)
            vm.sh("test -e /proc/vmcore")
        if has_network:
            # Before the dump fills the cache: rings need memory in one piece.
            vm.sh("modprobe hv_netvsc; [ -e /sys/class/net/eth0 ] || { dmesg | tail; false; }")
        with suite.check("the dump is written to the disk"):
            drivers(vm)
            name = attached(vm, 1)[(0, 0)]
            vm.check_modules([one for one in ["hv_vmbus", "hv_storvsc"] if one in vm.modules])
            vm.sh(f"mount -t ext4 /dev/{name} /mnt && cp /proc/vmcore /mnt/vmcore && sync", 600)
            hashes = vm.sh("echo 3 >/proc/sys/vm/drop_caches; md5sum </mnt/vmcore; md5sum </proc/vmcore", 600).split()
            # The crash kernel's own buffers are not in it: both are the same memory, which nobody changes any more.
            expect_equal(hashes[0], hashes[2], "hash of the dump")
            suite.note(f"{int(vm.sh('stat -c %s /mnt/vmcore')) >> 20} MiB")
        if has_network:
            with suite.check("its first 8 MiB go through the adapter"), server("", b"") as (port, kept):
                vm.check_modules([one for one in ["hv_netvsc"] if one in vm.modules])
                vm.sh(f"echo {base64.b64encode(LEASE).decode()} | base64 -d >/root/lease")
                vm.sh("ip link set eth0 up && chmod 755 /root/lease && "
                      "udhcpc -i eth0 -n -q -t 10 -s /root/lease", 90)
                router = vm.sh(". /tmp/lease; echo $router").strip()
                vm.sh(f"head -c {SENT} /proc/vmcore >/tmp/f")
                post(vm, "/tmp/f", port, "vmcore", router)
                expect_equal(kept.get("/vmcore"), vm.sh(f"head -c {SENT} /mnt/vmcore | md5sum").split()[0], "hash")
        with suite.check("a reboot leads back to the first kernel, and to the dump on the disk"):
            vm.sh("umount /mnt")
            since = vm.console.mark()
            vm.console.send(b"0 /sbin/reboot\n")
            vm.rebooted(since)
            drivers(vm)
            name = attached(vm, 1)[(0, 0)]
            vm.sh(f"! test -e /proc/vmcore && mount -t ext4 -o ro /dev/{name} /mnt && test -s /mnt/vmcore && umount /mnt",
                  60)
    with suite.check("the host finds in it the kernel that crashed, and the memory that it had"):
        raw, core = place / "disk.raw", place / "vmcore"
        done = subprocess.run([suite.lis, "disk", "convert", disk, raw], capture_output=True, text=True)
        expect(done.returncode == 0, done.stderr)
        subprocess.run(["debugfs", "-R", f"dump /vmcore {core}", raw], capture_output=True, check=True)
        with core.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            information = notes(data)
            expect(f"OSRELEASE={image.release(guest)}\n".encode() in information, information[:400])
            expect(b"CRASHTIME=" in information, "no time of the crash")
            found = {hashlib.md5(data[at:at + PAGE]).hexdigest() for at in range(0, len(data), PAGE)}
            expect(marks <= found, f"{len(marks - found)} of {len(marks)} pages are missing")
    for path in place.iterdir():
        os.unlink(path)


case("kdump to a disk, 6.1-cloud", depth="full", guest="6.1-cloud")(dump)
case("kdump to a disk, 6.12-cloud", depth="full", guest="6.12-cloud")(dump)
