# SPDX-License-Identifier: Apache-2.0
"""Our hv_storvsc, with --modules: what the cases of disks don't ask of a driver. Those run with it unchanged."""

import lzma
import re
import subprocess

from cases.disks import attached, create, drivers, folder
from cases.raid import fio
from harness import image
from harness.machine import Machine
from harness.suite import case, expect, expect_equal

DRIVER = "hv_storvsc"


def ours_for(suite, guest):
    """Whether there is a driver of ours to test; otherwise says so."""
    if suite.ours and DRIVER in suite.ours.files(image.release(guest)):
        return True
    suite.note(f"not run: needs --modules FOLDER with {DRIVER} for {image.release(guest)}")
    return False


def clean(vm):
    """No complaint of the kernel's, no trap, nothing that the driver forgot to give back."""
    noise = vm.sh("dmesg -r | grep -E '^<[0-3]>|not given back|out of use|Swift trap' | grep -vE 'cpc|_CPC'; true")
    expect(not noise.strip(), noise)
    expect_equal(vm.sh(f"cat /sys/module/{DRIVER}/parameters/traps 2>/dev/null || echo 0").strip(), "0", "traps")


def kernel_memory(vm):
    """KiB that the kernel itself holds, and KiB that are free, after it gave back what it can."""
    vm.sh("sync; echo 3 >/proc/sys/vm/drop_caches; echo 3 >/proc/sys/vm/drop_caches")
    fields = dict(re.findall(r"(?m)^(\w+):\s+(\d+) kB", vm.sh("cat /proc/meminfo")))
    return (sum(int(fields[name]) for name in ["SUnreclaim", "VmallocUsed", "Percpu", "KernelStack", "PageTables"]),
            int(fields["MemFree"]))


def reloads(vm, rounds):
    vm.sh(f"for i in $(seq {rounds}); do rmmod {DRIVER} && modprobe {DRIVER} || exit 1; n=0; "
          "until [ -b /dev/sda ] || [ $n = 100 ]; do usleep 100000; n=$((n+1)); done; "
          "dd if=/dev/sda of=/dev/null bs=64k count=16 2>/dev/null || exit 2; done", 60 + 8 * rounds)


def works(suite, guest, processors, rounds):
    if not ours_for(suite, guest):
        return
    place = folder(suite, f"storvsc-{guest}-{processors}")
    with Machine(suite, guest, processors=processors, disks=True, daemons=False,
                 options=[f"--disk={create(suite, place / 'disk.vhdx', '128M')}"]) as vm:
        # The standard kernels have it as a module, and ext4 asks a modprobe that is not there.
        vm.sh("modprobe crc32c_generic 2>/dev/null; true")
        drivers(vm)
        disk = attached(vm, 1)[(0, 0)]
        with suite.check("ours is loaded, with the device's aliases"):
            vm.check_modules([DRIVER])
            aliases = vm.sh(f"modinfo {DRIVER} | grep -c '^alias:'").strip()
            expect_equal(aliases, "3", "aliases")
        with suite.check("what is written to ext4 is read back"):
            vm.sh(f"/usr/sbin/mke2fs -q -F -t ext4 /dev/{disk} && mount -t ext4 /dev/{disk} /mnt", 60)
            wanted = vm.sh("dd if=/dev/urandom bs=64k count=96 2>/dev/null | tee /mnt/data | md5sum; umount /mnt", 60)
            vm.sh("echo 3 >/proc/sys/vm/drop_caches")
            found = vm.sh(f"mount -t ext4 /dev/{disk} /mnt; md5sum </mnt/data; umount /mnt", 60)
            expect_equal(found, wanted, "hash")
            vm.sh(f"/usr/sbin/e2fsck -fn /dev/{disk} >/tmp/check 2>&1 || {{ cat /tmp/check; false; }}", 60)
        with suite.check("the host is reset under load, and no request is lost"):
            vm.sh(f"while [ ! -e /run/enough ]; do dd if=/dev/{disk} of=/dev/null bs=4k count=64 iflag=direct 2>/run/dd || exit 1; "
                  "grep -q '^64+0 records out' /run/dd || exit 2; done & load=$!; "
                  f"for i in 1 2 3; do scsi-reset /dev/{disk} || exit 3; done; touch /run/enough; wait $load", 60)
        with suite.check(f"unloads and loads {rounds} times without growing"):
            reloads(vm, 3)
            before, free_before = kernel_memory(vm)
            reloads(vm, rounds)
            after, free_after = kernel_memory(vm)
            suite.note(f"kernel's memory {before} KiB before, {after} KiB after {rounds} rounds; free {free_before} and "
                       f"{free_after} KiB")
            # What is free goes up and down by a MiB or two, the kernel's own by less. A ring alone is 128 KiB, a queue's
            # table 24 KiB.
            expect(after - before < 512 + 4 * rounds, f"{before} KiB became {after} KiB")
            expect(free_before - free_after < 2048 + 16 * rounds, f"{free_before} KiB free became {free_after} KiB")
            again = vm.sh(f"mount -t ext4 /dev/sda /mnt; md5sum </mnt/data; umount /mnt", 60)
            expect_equal(again, wanted, "hash")
        with suite.check("nothing to complain about"):
            clean(vm)


def verified(suite, guest):
    """fio over all queues of a controller, reading what it wrote."""
    if not ours_for(suite, guest):
        return
    place = folder(suite, f"storvsc-fio-{guest}")
    tools = place / "tools.raw"
    subprocess.run(["cp", "--sparse=always", image.debian_root(), tools], check=True)
    options = [f"--disk={create(suite, place / 'disk.vhdx', '256M')}", f"--disk={tools},read-only,lun=9"]
    with Machine(suite, guest, processors=4, memory="512M", disks=True, daemons=False, options=options) as vm:
        drivers(vm)
        disks = attached(vm, 2)
        vm.check_modules([DRIVER])
        disk = disks[(0, 0)]
        vm.sh(f"mount -t ext4 -o ro,noload /dev/{disks[(0, 9)]}1 /mnt && mount -o bind /dev /mnt/dev && "
              "mount -t proc proc /mnt/proc && mount -t sysfs sys /mnt/sys && mount -t tmpfs tmp /mnt/tmp", 60)
        with suite.check("four queues, each on a channel of its own"):
            expect_equal(vm.sh(f"ls /sys/block/{disk}/mq | wc -l").strip(), "4", "queues")
            device = vm.sh(f"readlink -f /sys/block/{disk}/device | sed 's#/host.*##'").strip()
            targets = vm.sh(f"cat {device}/channels/*/cpu").split()
            expect_equal(sorted(targets), ["0", "1", "2", "3"], "processors of the channels")
        with suite.check("fio writes at random from four processors, and verifies"):
            suite.note(fio(vm, f"/dev/{disk}", "--rw=randwrite", "--bsrange=512-256k", "--bs_unaligned=0", "--iodepth=16",
                           "--numjobs=4", "--size=48M", "--offset_increment=64M", "--cpus_allowed=0-3",
                           "--cpus_allowed_policy=split"))
        with suite.check("fio mixes long and short transfers, and verifies"):
            suite.note(fio(vm, f"/dev/{disk}", "--rw=randrw", "--bssplit=4k/60:64k/20:1m/20", "--iodepth=32",
                           "--size=128M", "--io_size=64M"))
        with suite.check("every channel was used"):
            counts = vm.sh(f"cat {device}/channels/*/interrupts").split()
            expect(len(counts) == 4 and all(int(count) > 0 for count in counts), str(counts))
        with suite.check("nothing to complain about"):
            clean(vm)
    for path in place.iterdir():
        path.unlink()


# Name, options of fio, and the field of its terse output that counts: requests a second, reading or writing.
LOADS = [("reads of 4 KiB, one at a time", "--rw=randread --bs=4k --iodepth=1", 7),
         ("reads of 4 KiB, 32 at a time", "--rw=randread --bs=4k --iodepth=32", 7),
         ("writes of 4 KiB, 32 at a time", "--rw=randwrite --bs=4k --iodepth=32", 48),
         ("reads of 256 KiB, 8 at a time", "--rw=read --bs=256k --iodepth=8", 7)]


def speed(suite, guest, rounds):
    """Our driver and the kernel's own in turn, in the same guest, on the same disk."""
    if not ours_for(suite, guest):
        return
    place = folder(suite, f"storvsc-speed-{guest}")
    tools = place / "tools.raw"
    subprocess.run(["cp", "--sparse=always", image.debian_root(), tools], check=True)
    own, = [path for path in image.module_files(guest, [DRIVER])[1] if image.module_name(path) == DRIVER]
    own = (image.module_files(guest, [DRIVER])[0] / own).read_bytes()
    files = {"root/own.ko": lzma.decompress(own) if own[:4] != b"\x7fELF" else own,
             "root/ours.ko": suite.ours.files(image.release(guest))[DRIVER]}
    options = [f"--disk={create(suite, place / 'disk.raw', '256M')}", f"--disk={tools},read-only,lun=9"]
    with Machine(suite, guest, processors=2, memory="768M", disks=True, daemons=False, files=files,
                 options=options) as vm:
        drivers(vm)
        # fio and its libraries into memory: the driver under it comes and goes.
        vm.sh(f"mount -t ext4 -o ro,noload /dev/{attached(vm, 2)[(0, 9)]}1 /mnt && mkdir /run/fio && "
              "for f in /usr/bin/fio $(chroot /mnt ldd /usr/bin/fio | grep -o '/[^ ]*'); do "
              "mkdir -p /run/fio/$(dirname $f) && chroot /mnt cat $f >/run/fio/$f && chmod 755 /run/fio/$f || exit 1; done; "
              "mkdir /run/fio/dev /run/fio/sys /run/fio/proc /run/fio/tmp && mount -o bind /dev /run/fio/dev && "
              "mount -t sysfs sys /run/fio/sys && mount -t proc proc /run/fio/proc && umount /mnt", 120)
        rates = {}
        with suite.check(f"both drivers in turn, {rounds} times"):
            for number in range(rounds + 1):
                for driver in ["own", "ours"] if number % 2 else ["ours", "own"]:
                    vm.sh(f"rmmod {DRIVER}; insmod /root/{driver}.ko")
                    disk = attached(vm, 2)[(0, 0)]
                    for name, words, field in LOADS:
                        said = vm.sh(f"chroot /run/fio /usr/bin/fio --name=x --filename=/dev/{disk} --direct=1 --ioengine=libaio "
                                     f"--time_based --runtime=2 --size=128M --minimal {words}", 60)
                        # The first round warms up.
                        if number:
                            rates.setdefault(name, {}).setdefault(driver, []).append(float(said.split(";")[field]))
        for name, found in rates.items():
            with suite.check(f"{name}: as fast as the kernel's own"):
                ratios = sorted(one / other for one, other in zip(found["ours"], found["own"]))
                middle = {driver: sorted(values)[len(values) // 2] for driver, values in found.items()}
                suite.note(f"{name}: ours {middle['ours']:.0f}, own {middle['own']:.0f} a second; median of the ratios "
                           f"{ratios[len(ratios) // 2]:.2f}, from {ratios[0]:.2f} to {ratios[-1]:.2f}")
                expect(ratios[len(ratios) // 2] >= 0.95, f"{ratios}")
    for path in place.iterdir():
        path.unlink()


# Deeds of Kernel/lis_hostile that leave the ring whole: what is in it is dropped.
NONSENSE = {1: "completions for unknown requests", 2: "answers shorter than the structure", 3: "notices that are none",
            4: "packets of other types"}
# Those that break it: the channel is given up.
BREAKS = {20: "a write index outside the ring", 21: "a write index that is not aligned", 22: "a packet of length 0",
          23: "a packet longer than what there is", 24: "a payload behind its packet", 25: "a packet longer than any"}


def hostile_host(suite, guest):
    """The worst of a hostile host against the loaded module: an error, never an oops, and the module still unloads."""
    if not ours_for(suite, guest):
        return
    wanted = image.release(guest)
    hostile = suite.ours.file("lis_hostile", wanted)
    if not hostile:
        suite.note(f"not run: no lis_hostile.ko for {wanted} in the folder of --modules")
        return
    place = folder(suite, f"hostile-{guest}")
    with Machine(suite, guest, processors=2, disks=True, daemons=False, files={"root/hostile.ko": hostile},
                 options=[f"--disk={create(suite, place / 'disk.vhdx', '64M')}"]) as vm:
        drivers(vm)
        attached(vm, 1)
        vm.check_modules([DRIVER])
        vm.sh("insmod /root/hostile.ko")
        wanted = vm.sh("dd if=/dev/urandom of=/dev/sda bs=64k count=64 oflag=direct 2>/dev/null; "
                       "dd if=/dev/sda bs=64k count=64 iflag=direct 2>/dev/null | md5sum", 60)

        def do(deed):
            host = vm.sh("ls -d /sys/class/scsi_host/host* | tail -n 1").strip().rpartition("host")[2]
            vm.sh(f"echo '{host} {deed}' >/sys/module/lis_hostile/parameters/storage")

        def reads_back():
            found = vm.sh("dd if=/dev/sda bs=64k count=64 iflag=direct 2>/dev/null | md5sum", 60)
            expect_equal(found, wanted, "hash")

        for deed, name in NONSENSE.items():
            with suite.check(f"{name}: dropped, and work goes on"):
                do(deed)
                reads_back()
        for deed, name in BREAKS.items():
            with suite.check(f"{name}: the channel ends, requests err, and a reload repairs it"):
                do(deed)
                vm.sh("for i in $(seq 50); do dmesg | grep -q 'out of use' && break; usleep 100000; done; "
                      "dmesg | grep -q 'out of use'")
                expect(vm.sh("dd if=/dev/sda of=/dev/null bs=4k count=1 iflag=direct 2>&1; true", 60).find("1+0 records in") < 0,
                       "a read succeeded")
                vm.sh(f"dmesg -c >/tmp/said; rmmod {DRIVER}; modprobe {DRIVER}", 60)
                attached(vm, 1)
                reads_back()
        with suite.check("no oops, no trap"):
            noise = vm.sh("dmesg | cat /tmp/said - | grep -E 'Oops|BUG|WARNING|Call Trace|Swift trap|not given back'; true")
            expect(not noise.strip(), noise)


case("hv_storvsc of ours, 6.1-cloud", depth="normal", guest="6.1-cloud", processors=2, rounds=3)(works)
case("hv_storvsc of ours, 6.12-cloud, 20 reloads", depth="full", guest="6.12-cloud", processors=4, rounds=20)(works)
case("hv_storvsc of ours, 6.1-standard, 100 reloads", depth="full", guest="6.1-standard", processors=1, rounds=100)(works)
case("hv_storvsc of ours and a hostile host, 6.1-cloud", depth="full", guest="6.1-cloud")(hostile_host)
case("hv_storvsc of ours and a hostile host, 6.12-cloud", depth="full", guest="6.12-cloud")(hostile_host)
case("hv_storvsc of ours under fio, 6.1-cloud", depth="full", guest="6.1-cloud")(verified)
case("hv_storvsc of ours under fio, 6.12-cloud", depth="full", guest="6.12-cloud")(verified)
case("hv_storvsc of ours, speed, 6.1-cloud", depth="full", guest="6.1-cloud", rounds=5)(speed)
