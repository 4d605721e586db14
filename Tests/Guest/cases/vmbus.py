# SPDX-License-Identifier: Apache-2.0
"""Our hv_vmbus, with --modules: reloaded with all that sits on it, processors that come and go, what sysfs shows beside the
kernel's own, and the kernel's other drivers on it."""

import re
import subprocess
import sys

from cases.boot import check_shutdown
from harness import image, modules
from harness.machine import Machine
from harness.suite import case, expect, expect_equal

DRIVERS = ["hv_utils", "hv_storvsc", "hv_netvsc"]


def machine(suite, guest, processors, ours=None, daemons=False):
    """One with a disk and an adapter, whose initramfs has the drivers of both."""
    path = suite.work / "vmbus.raw"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    ours = ours or suite.ours
    adapter = ours.files(image.release(guest)).get("hv_netvsc") or modules.own_file(guest, "hv_netvsc")
    folder = f"lib/modules/{image.release(guest)}"
    return Machine(suite, guest, processors=processors, disks=True, daemons=daemons, ours=ours,
                   options=[f"--disk={path},format=raw", "--nic", "user,mac=52:54:00:11:22:33"], files={f"{folder}/hv_netvsc.ko": adapter})


def load(guest):
    """Commands that load all drivers of the bus."""
    return f"modprobe hv_utils && modprobe hv_storvsc && insmod /lib/modules/{image.release(guest)}/hv_netvsc.ko"


def come(services="-gt 3"):
    """A command that waits for disk, adapter, and as many services."""
    return ("n=0; until [ -b /dev/sda ] && [ -e /sys/class/net/eth0 ] && "
            f"[ $(ls -d /sys/bus/vmbus/drivers/hv_utils/*-* 2>/dev/null | wc -l) {services} ] || [ $n = 200 ]; "
            "do usleep 50000; n=$((n+1)); done; [ $n != 200 ]")


def leases(vm):
    """Frames go out and come in."""
    vm.sh("ip link set eth0 up && udhcpc -i eth0 -n -q -t 10 -s /bin/true", 60)


def reloads(suite, guest, rounds, processors):
    """Unloading the bus and its drivers gives back all that loading took."""
    if modules.missing(suite, guest, "hv_vmbus", *DRIVERS):
        return
    with machine(suite, guest, processors) as vm:
        vm.sh(f"modprobe sd_mod; {load(guest)}; {come()}")
        vm.check_modules(["hv_vmbus", *DRIVERS])
        services = vm.sh("ls -d /sys/bus/vmbus/drivers/hv_utils/*-* | wc -l")

        def go(number):
            vm.sh(f"for i in $(seq {number}); do rmmod {' '.join(DRIVERS)} hv_vmbus || exit 1; "
                  f"modprobe hv_vmbus && {load(guest)} || exit 2; {come('= ' + services)} || exit 3; "
                  "dd if=/dev/sda of=/dev/null bs=64k count=4 iflag=direct 2>/dev/null || exit 4; done", 60 + 20 * number)
        # The first rounds fill what the kernel keeps for next time.
        go(3)
        before = modules.kernel_memory(vm)
        with suite.check(f"{rounds} rounds of unloading and loading the bus and all its drivers"):
            go(rounds)
        with suite.check("the kernel holds no more memory than before"):
            after = modules.kernel_memory(vm)
            suite.note(f"{before} KiB before, {after} KiB after {rounds} rounds")
            # With the kernel's own drivers of disk and adapter it is 18 KiB a round. Without any the bound is narrow: below.
            expect(after - before < 512 + 20 * rounds, f"{before} KiB became {after} KiB")
        with suite.check(f"{rounds} rounds of the bus and its services, which leave nothing"):
            again = f"for i in $(seq {rounds}); do rmmod hv_utils hv_vmbus && modprobe hv_utils || exit 1; usleep 200000; done"
            vm.sh("rmmod hv_netvsc hv_storvsc")
            vm.sh(again, 60 + 20 * rounds)
            before = modules.kernel_memory(vm)
            vm.sh(again, 60 + 20 * rounds)
            after = modules.kernel_memory(vm)
            suite.note(f"{before} KiB before, {after} KiB after")
            expect(after - before < 128 + 2 * rounds, f"{before} KiB became {after} KiB")
            vm.sh(f"{load(guest)}; {come('= ' + services)}", 60)
        with suite.check("nothing to complain about"):
            expect_equal(modules.complaints(vm), "", "dmesg")
        with suite.check("services, disk and adapter are back"):
            vm.sh("daemons start")
            vm.services_ready()
            vm.sh("dd if=/dev/urandom of=/dev/sda bs=64k count=16 oflag=direct 2>/dev/null")
            leases(vm)
        check_shutdown(suite, vm)


case("our hv_vmbus reloaded 3 times, 6.1-cloud", depth="normal", guest="6.1-cloud", rounds=3, processors=2)(reloads)
for guest in ["6.1-cloud", "6.12-cloud"]:
    for rounds in [30, 100]:
        case("our hv_vmbus reloaded {rounds} times, {guest}", depth="full", guest=guest, rounds=rounds, processors=2)(reloads)


# What counts, or says how far a ring is.
MOVING = re.compile(r"/(in|out)_(read|write)_(index|bytes_avail)$|/(read|write)_avail$|/(interrupts|events)$|/intr_\w+$"
                    r"|/out_full_\w+$|/(in|out)_(intr_)?mask$|/(client|server)_monitor_pending$|/pending$")


def tree(vm):
    """Path -> rights, where a link leads, and what a file says. "power", and what drivers put below their devices, is not
    the bus's."""
    vm.sh("{ find /sys/bus/vmbus; find /sys/bus/vmbus/devices/*/ -maxdepth 1; "
          "find /sys/bus/vmbus/devices/*/channels/; } | grep -v /power >/root/paths")
    found = {}
    for line in vm.sh("xargs stat -c '%A %N' </root/paths 2>/dev/null; :", 120).splitlines():
        rights, _, rest = line.partition(" ")
        path, _, target = rest.partition(" -> ")
        found[path.strip("'")] = f"{rights} {target}".strip()
    for line in vm.sh("xargs grep -s -H '' </root/paths; :", 120).splitlines():
        path, _, value = line.partition(":")
        if path in found and not MOVING.search(path):
            found[path] += f" {value}"
    return found


def lsvmbus(suite, vm, name):
    """What Debian's lsvmbus says of the guest, run on a copy of what it reads there."""
    program = image.GUESTS / "uio-fcopy/lsvmbus"
    if not program.exists():
        suite.note("no lsvmbus: scripts/fetch-guests --refresh uio-fcopy brings it")
        return ""
    folder = suite.work / f"lsvmbus-{name}"
    for line in vm.sh("cd /sys/bus/vmbus/devices; grep -H . */id */class_id */device_id */channel_vp_mapping").splitlines():
        path, _, value = line.partition(":")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (folder / path).open("a") as file:
            file.write(value + "\n")
    text = program.read_text().replace("'/sys/bus/vmbus/devices'", repr(str(folder)))
    said = subprocess.run([sys.executable, "-c", text, "-vv"], capture_output=True, text=True)
    expect_equal(said.returncode, 0, f"lsvmbus: {said.stderr}")
    return said.stdout.replace(str(folder), "/sys/bus/vmbus/devices")


def seen(suite, guest, processors):
    """The tree of sysfs, with what udev matches on, lsvmbus and aliases are those of the kernel's own driver."""
    if modules.missing(suite, guest, "hv_vmbus"):
        return
    trees, lists = {}, {}
    # The drivers above are the kernel's own both times: the difference is the bus.
    for name, ours in [("kernel's", suite.ours.only()), ("ours", suite.ours.only("hv_vmbus"))]:
        with machine(suite, guest, processors, ours=ours) as vm:
            vm.sh(f"modprobe sd_mod; {load(guest)}; {come()}")
            vm.sh("sleep 1")
            # A machine of another name has an adapter of another name.
            adapter = vm.sh("basename /sys/bus/vmbus/drivers/hv_netvsc/*-*")
            trees[name] = {path.replace(adapter, "ADAPTER"): value.replace(adapter, "ADAPTER")
                           for path, value in tree(vm).items()}
            lists[name] = lsvmbus(suite, vm, name.strip("'s")).replace(adapter, "ADAPTER")
    with suite.check("sysfs has the same files, links and rights, and they say the same"):
        theirs, ours = trees["kernel's"], trees["ours"]
        suite.note(f"{len(theirs)} files, folders and links")
        differences = [f"{path}: kernel's {theirs.get(path)!r}, ours {ours.get(path)!r}"
                       for path in sorted({*theirs, *ours}) if theirs.get(path) != ours.get(path)]
        expect(len(theirs) > 200 and not differences, "\n".join(differences))
    with suite.check("lsvmbus says the same"):
        expect_equal(lists["ours"], lists["kernel's"], "lsvmbus -vv")
    with suite.check("modinfo has the kernel's aliases"):
        ours = suite.ours.files(image.release(guest))["hv_vmbus"]
        theirs = modules.own_file(guest, "hv_vmbus")
        # Those of machines with a device tree are not for ours.
        expect_equal(sorted(modules.all_information(ours, "alias")), sorted(
            one for one in modules.all_information(theirs, "alias") if not one.startswith("of:")), "aliases")


case("our hv_vmbus in sysfs, 6.1-cloud", depth="normal", guest="6.1-cloud", processors=2)(seen)
for guest in ["6.1-cloud", "6.12-cloud"]:
    case("our hv_vmbus in sysfs with 4 processors, {guest}", depth="full", guest=guest, processors=4)(seen)


def processors_change(suite, guest, rounds):
    """Processors with channels bound to them go off- and online while a disk works."""
    if modules.missing(suite, guest, "hv_vmbus", *DRIVERS):
        return
    with machine(suite, guest, 8, daemons=True) as vm:
        vm.sh(f"modprobe sd_mod; {load(guest)}; {come()}")
        vm.check_modules(["hv_vmbus", *DRIVERS])
        vm.sh("dd if=/dev/urandom of=/root/data bs=64k count=32 2>/dev/null")

        def bound():
            """Processor -> how many channels interrupt it."""
            found = {}
            for cpu in vm.sh("cat /sys/bus/vmbus/devices/*/channels/*/cpu").split():
                found[int(cpu)] = found.get(int(cpu), 0) + 1
            return found

        with suite.check("channels of disk and adapter are on several processors"):
            suite.note(f"channels by processor: {bound()}")
            expect(len(bound()) >= 4, f"{bound()}")
        with suite.check("a channel goes where its attribute says, and nowhere else"):
            path = vm.sh("ls -d /sys/bus/vmbus/drivers/hv_storvsc/*-*/channels/* | head -n 1")
            for cpu in [7, 0, 5]:
                vm.sh(f"echo {cpu} >{path}/cpu && [ $(cat {path}/cpu) = {cpu} ] && "
                      "dd if=/dev/sda of=/dev/null bs=4k count=32 iflag=direct 2>/dev/null")
            vm.sh(f"! echo 8 2>/dev/null >{path}/cpu && ! echo x 2>/dev/null >{path}/cpu && [ $(cat {path}/cpu) = 5 ]")
        vm.sh("rm -f /run/enough /run/failed; (while [ ! -e /run/enough ]; do dd if=/root/data of=/dev/sda bs=64k oflag=direct "
              "2>/dev/null && dd if=/dev/sda bs=64k count=32 iflag=direct 2>/dev/null | cmp - /root/data || "
              "{ touch /run/failed; break; }; done; touch /run/ended) >/dev/null 2>&1 &")
        with suite.check(f"{rounds} rounds of seven processors off and on, under the load of a disk"):
            for number in range(rounds):
                for cpu in range(1, 8):
                    # Something has to be there to go away.
                    vm.sh(f"echo {cpu} >{path}/cpu; echo 0 >/sys/devices/system/cpu/cpu{cpu}/online", 90)
                    expect(cpu not in bound(), f"{bound()} with processor {cpu} offline")
                    if number % 2:
                        vm.sh(f"echo 1 >/sys/devices/system/cpu/cpu{cpu}/online", 90)
                if number % 2 == 0:
                    expect_equal(list(bound()), [0], "processors with channels, when there is one")
                    leases(vm)
                    vm.sh("for i in 1 2 3 4 5 6 7; do echo 1 >/sys/devices/system/cpu/cpu$i/online || exit 1; done", 90)
        with suite.check("the disk worked all the time, and holds what was written"):
            vm.sh("touch /run/enough; n=0; until [ -e /run/ended ]; do usleep 100000; n=$((n+1)); [ $n -lt 300 ] || exit 1; "
                  "done; [ ! -e /run/failed ]", 60)
        with suite.check("the first processor, to which messages come, stays"):
            vm.sh("[ ! -e /sys/devices/system/cpu/cpu0/online ] || ! echo 0 2>/dev/null >/sys/devices/system/cpu/cpu0/online")
        with suite.check("the bus unloads with a processor offline, and takes in one that comes later"):
            # On kernels from 6.10 the file copy's daemon uses the bus through this one.
            vm.sh("daemons kill; ! grep -q ^uio_hv_generic /proc/modules || rmmod uio_hv_generic")
            vm.sh(f"echo 0 >/sys/devices/system/cpu/cpu3/online; rmmod {' '.join(DRIVERS)} hv_vmbus && "
                  f"modprobe hv_vmbus && {load(guest)} && {come()}", 90)
            path = vm.sh("ls -d /sys/bus/vmbus/drivers/hv_storvsc/*-*/channels/* | head -n 1")
            vm.sh(f"echo 1 >/sys/devices/system/cpu/cpu3/online && echo 3 >{path}/cpu && "
                  "dd if=/dev/sda of=/dev/null bs=4k count=32 iflag=direct 2>/dev/null")
        with suite.check("nothing to complain about"):
            expect_equal(modules.complaints(vm), "", "dmesg")
        with suite.check("services and adapter are back"):
            vm.sh("daemons start")
            vm.services_ready()
            leases(vm)
        check_shutdown(suite, vm)


case("our hv_vmbus and processors that come and go, 6.1-cloud", depth="full", guest="6.1-cloud", rounds=4)(processors_change)
case("our hv_vmbus and processors that come and go, 6.12-cloud", depth="full", guest="6.12-cloud", rounds=4)(processors_change)


def written_while_they_go(suite, guest, rounds):
    """Who writes to a channel's file may wait for the bus, and who takes the channel away waits for the writer."""
    if modules.missing(suite, guest, "hv_vmbus", *DRIVERS):
        return
    with machine(suite, guest, 4) as vm:
        vm.sh(f"modprobe sd_mod; {load(guest)}; {come()}")
        vm.check_modules(["hv_vmbus", *DRIVERS])
        with suite.check(f"{rounds} times all channels of disk and adapter go and come, while four write where they go"):
            vm.sh("rm -f /run/enough; for p in 0 1 2 3; do (while [ ! -e /run/enough ]; do "
                  "for f in /sys/bus/vmbus/devices/*/channels/*/cpu; do echo $p >$f; done; done; echo >>/run/ended) "
                  ">/dev/null 2>&1 & done")
            vm.sh(f"for i in $(seq {rounds}); do rmmod hv_netvsc hv_storvsc && {load(guest)} && {come()} || exit 1; done",
                  60 + 20 * rounds)
            vm.sh("touch /run/enough; n=0; until [ $(cat /run/ended 2>/dev/null | wc -l) = 4 ]; do usleep 100000; "
                  "n=$((n+1)); [ $n -lt 300 ] || exit 1; done", 60)
        with suite.check("nothing to complain about, and the bus unloads"):
            expect_equal(modules.complaints(vm), "", "dmesg")
            vm.sh(f"daemons kill; rmmod {' '.join(DRIVERS)} hv_vmbus && modprobe hv_vmbus && {load(guest)} && {come()}", 90)
        check_shutdown(suite, vm)


for guest in ["6.1-cloud", "6.12-cloud"]:
    case("our hv_vmbus and channels that go while their files are written, {guest}", depth="full", guest=guest,
         rounds=5)(written_while_they_go)


# The kernel's drivers for devices that the tests' host has none of.
OTHERS = ["hv_balloon", "hid_hyperv", "hyperv_keyboard", "hyperv_drm", "hyperv_fb", "hv_sock", "pci_hyperv"]


class Files(dict):
    """What `image.add_modules` adds, as `Machine` takes it."""

    def add(self, name, mode, data):
        self[name] = data


def leave(name):
    """A command that unloads a module which can be."""
    return f"if grep -q '^{name} .*permanent' /proc/modules; then echo stays; else rmmod {name} && echo gone; fi"


def others(suite, guest):
    """They load on our bus, as on their own: a symbol version or a structure that differs would be refused, or worse."""
    if modules.missing(suite, guest, "hv_vmbus"):
        return
    files = Files()
    image.add_modules(files, guest, OTHERS, image.MODULES, suite.ours)
    names = {image.module_name(path) for path in files}
    there = [name for name in OTHERS if name in names]
    with Machine(suite, guest, processors=2, files=files) as vm:
        vm.services_ready()
        vm.check_modules(["hv_vmbus"])
        for name in there:
            with suite.check(f"the kernel's {name} registers, and leaves"):
                before = set(vm.sh("ls /sys/bus/vmbus/drivers").split())
                vm.sh(f"modprobe {name}")
                new = set(vm.sh("ls /sys/bus/vmbus/drivers").split()) - before
                expect_equal(len(new), 1, f"new drivers ({new})")
                # hv_balloon cannot be unloaded.
                if vm.sh(leave(name)) == "gone":
                    expect_equal(set(vm.sh("ls /sys/bus/vmbus/drivers").split()), before, "drivers afterwards")
        with suite.check("all at once, and the services go on"):
            expect(len(there) > 3, f"only {there}")
            vm.sh("; ".join(f"modprobe {name} || exit 1" for name in there))
            vm.sh("! rmmod hv_vmbus 2>/dev/null; daemons kill; rmmod hv_utils && modprobe hv_utils && daemons start", 60)
            vm.services_ready()
            vm.sh("; ".join(f"{{ {leave(name)}; }} || exit 1" for name in there))
        with suite.check("nothing to complain about"):
            expect_equal(modules.complaints(vm), "", "dmesg")
            expect_equal(vm.sh("dmesg | grep -iE 'unknown symbol|disagrees|version magic' || :"), "", "dmesg")
        check_shutdown(suite, vm)


for guest in image.NAMES:
    case("the kernel's other drivers on our hv_vmbus, {guest}", depth="full", guest=guest)(others)
