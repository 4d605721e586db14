# SPDX-License-Identifier: Apache-2.0
"""Our kernel modules, with --modules: loaded and unloaded, mixed with the kernel's own, refused. What they do for a guest
is asked by all other cases, which run with --modules unchanged."""

import re
import struct
import subprocess

from cases.boot import check_services, check_shutdown
from harness import elf, image, modules
from harness.console import Console
from harness.machine import Machine
from harness.suite import case, expect, expect_equal

# What a module is loaded with, and when it has come to work again.
DEVICES = {
    "hv_utils": (dict(), "until [ $(ls -d /sys/bus/vmbus/drivers/hv_utils/*-* 2>/dev/null | wc -l) = {count} ]"),
    "hv_storvsc": (dict(disks=True), "until [ -b /dev/sda ]"),
    "hv_netvsc": (dict(network=True), "until [ -e /sys/class/net/eth0 ]"),
}


def disk(suite):
    path = suite.work / "reload.raw"
    with path.open("wb") as file:
        file.truncate(16 << 20)
    return f"--disk={path},format=raw"


def reloads(suite, guest, module, rounds, processors=2):
    """Unloading gives back all that loading took."""
    if modules.missing(suite, guest, module):
        return
    machine, ready = DEVICES[module]
    options = {"hv_storvsc": lambda: [disk(suite)], "hv_netvsc": lambda: ["--nic", "user"]}.get(module, lambda: [])()
    with Machine(suite, guest, processors=processors, daemons=False, options=options, **machine) as vm:
        vm.sh(f"modprobe {module}; modprobe sd_mod 2>/dev/null || :")
        vm.check_modules([module])
        count = vm.sh("ls -d /sys/bus/vmbus/drivers/hv_utils/*-* | wc -l")
        ready = ready.format(count=count)

        def go(number):
            vm.sh(f"for i in $(seq {number}); do rmmod {module} && modprobe {module} || exit 1; n=0; "
                  f"{ready} || [ $n = 100 ]; do usleep 50000; n=$((n+1)); done; [ $n != 100 ] || exit 2; done",
                  60 + 8 * number)
        # The first rounds fill what the kernel keeps for next time.
        go(3)
        before = modules.kernel_memory(vm)
        with suite.check(f"{rounds} rounds of unloading and loading {module}"):
            go(rounds)
        with suite.check("the kernel holds no more memory than before"):
            after = modules.kernel_memory(vm)
            suite.note(f"{before} KiB before, {after} KiB after {rounds} rounds")
            # Half a page a round would be a leak; the rest is the kernel's own coming and going.
            expect(after - before < 192 + 2 * rounds, f"{before} KiB became {after} KiB")
        with suite.check("nothing to complain about"):
            expect_equal(modules.complaints(vm), "", "dmesg")
        if module == "hv_utils":
            with suite.check("the services are back, data exchange with its daemon too"):
                vm.sh("daemons start")
                vm.services_ready()
            check_shutdown(suite, vm)


for guest in ["6.1-cloud", "6.12-cloud"]:
    for module in DEVICES:
        case("our {module} reloaded 20 times, {guest}", depth="full", guest=guest, module=module, rounds=20)(reloads)
for module in DEVICES:
    case("our {module} reloaded 100 times, {guest}", depth="full", guest="6.1-cloud", module=module, rounds=100)(reloads)


# Prints the PTP clock's time and the system's, and what changing it says.
CLOCK = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
int main(int argc, char **argv)
{
	struct timespec clock, system;
	int file = open(argv[1], O_RDWR);
	clockid_t id = (~(clockid_t)file << 3) | 3;

	if (file < 0 || clock_gettime(id, &clock)) {
		perror(argv[1]);
		return 1;
	}
	clock_gettime(CLOCK_REALTIME, &system);
	printf("%.3f %d\n", clock.tv_sec - system.tv_sec + (clock.tv_nsec - system.tv_nsec) / 1e9,
	       clock_settime(id, &clock) ? errno : 0);
	return 0;
}
"""


def services(suite, guest):
    """What a guest sees of our hv_utils besides the services themselves."""
    if modules.missing(suite, guest, "hv_utils"):
        return
    source = suite.work / "ptp-clock.c"
    source.write_text(CLOCK)
    with Machine(suite, guest, files={"root/ptp-clock": image.compiled(source)}) as vm:
        with suite.check("ours is loaded, with the kernel's name and aliases"):
            vm.check_modules(["hv_utils"])
            theirs = modules.own_file(guest, "hv_utils")
            expect_equal(set(modules.all_information(vm.modules["hv_utils"], "alias")),
                         set(modules.all_information(theirs, "alias")), "aliases")
            expect_equal(modules.depends(vm.modules["hv_utils"]), ["hv_vmbus"], "dependencies")
        check_services(suite, vm)
        with suite.check("the PTP clock hyperv has the host's time, and cannot be set"):
            device = vm.sh("grep -l hyperv /sys/class/ptp/*/clock_name | sed 's#/sys/class/ptp/#/dev/#; s#/clock_name##'")
            difference, error = vm.sh(f"chmod +x /root/ptp-clock; /root/ptp-clock {device}").split()
            expect(abs(float(difference)) < 1, f"{difference} s from the guest's clock")
            expect_equal(error, "95", "errno of setting it (EOPNOTSUPP)")
        with suite.check("a second daemon finds the device busy"):
            expect("usy" in vm.sh("(exec 3<>/dev/vmbus/hv_kvp) 2>&1; :"), "it could open it too")
        with suite.check("a module in use stays, one without users goes and comes back"):
            vm.sh("! rmmod hv_utils 2>/dev/null && daemons running")
            vm.sh("daemons kill; rmmod hv_utils && modprobe hv_utils && daemons start", 60)
            vm.services_ready()
        with suite.check("nonsense written to the devices is refused, and the services go on"):
            vm.sh("daemons kill")
            for name in ["hv_kvp", "hv_vss"] + (["hv_fcopy"] if guest.startswith("6.1-") else []):
                for size in [0, 1, 4, 12, 4096, 7432, 9000]:
                    vm.sh(f"head -c {size} /dev/urandom | dd of=/dev/vmbus/{name} bs=16384 iflag=fullblock 2>/dev/null || :")
            vm.sh("daemons start")
            vm.services_ready()
        with suite.check("unknown parameters are named, and do no harm"):
            vm.sh("daemons kill; rmmod hv_utils; dmesg -c >/dev/null; modprobe hv_utils nonsense=1 timesync_implicit=1")
            expect("unknown parameter 'nonsense' ignored" in vm.sh("dmesg"), vm.sh("dmesg"))
            expect_equal(vm.sh("cat /sys/module/hv_utils/parameters/timesync_implicit"), "Y")
            vm.sh("rmmod hv_utils; ! modprobe hv_utils timesync_implicit=perhaps 2>/dev/null && modprobe hv_utils")
            vm.sh("daemons start")
            vm.services_ready()
        with suite.check("nothing to complain about"):
            expect_equal(modules.complaints(vm), "", "dmesg")
        check_shutdown(suite, vm)


case("our hv_utils, 6.1-cloud", depth="normal", guest="6.1-cloud")(services)
case("our hv_utils, 6.12-cloud", depth="full", guest="6.12-cloud")(services)
case("our hv_utils, 6.1-standard", depth="full", guest="6.1-standard")(services)


def refused(suite, guest, other):
    """Modules that don't fit the kernel: refused with a reason, the kernel's own load, the machine boots."""
    if modules.missing(suite, guest, "hv_utils") or modules.missing(suite, other, "hv_utils"):
        return
    ours = suite.ours.files(image.release(guest))["hv_utils"]
    foreign = suite.ours.files(image.release(other))["hv_utils"]
    # The check sum of a symbol as it would be in a kernel of the same name and another structure.
    versions = elf.sections(ours)["__versions"]
    crc, = struct.unpack_from("<Q", ours, versions["offset"])
    other_crc = ours[:versions["offset"]] + struct.pack("<Q", crc ^ 0xFFFF) + ours[versions["offset"] + 8:]
    files = {"root/foreign.ko": foreign, "root/crc.ko": other_crc}
    # Only one of ours, which no case replaces: the rest of the machine is Debian's.
    with Machine(suite, guest, ours=suite.ours.only(), files=files) as vm:
        vm.services_ready(["heartbeat"])
        vm.sh("daemons kill; rmmod hv_utils; dmesg -c >/dev/null")
        for name, what in [("foreign", "built for another kernel"), ("crc", "a structure has changed")]:
            with suite.check(f"{what}: refused with the reason"):
                vm.sh(f"! insmod /root/{name}.ko 2>/dev/null")
                said = vm.sh("dmesg -c")
                expect(re.search("version magic|disagrees about version of symbol|must match the kernel", said), said)
                vm.sh("! grep -q ^hv_utils /proc/modules")
        with suite.check("the kernel's own module loads, and all services are there"):
            vm.sh("modprobe hv_utils && daemons start")
            vm.services_ready()
            expect_equal(vm.sh("cat /sys/module/hv_utils/taint"), "", "taint")
        check_shutdown(suite, vm)


case("modules that don't fit, 6.1-cloud", depth="full", guest="6.1-cloud", other="6.12-cloud")(refused)
case("modules that don't fit, 6.12-cloud", depth="full", guest="6.12-cloud", other="6.1-cloud")(refused)


def elsewhere(suite, guest, names):
    """On a machine that is not Hyper-V nothing binds and nothing breaks. The machine is QEMU's own."""
    names = [name for name in names if suite.ours and name in suite.ours.files(image.release(guest))]
    if not names:
        modules.missing(suite, guest, "hv_utils")
        return
    folder = suite.work / f"elsewhere-{guest}"
    folder.mkdir(exist_ok=True)
    machine = subprocess.Popen(
        ["qemu-system-x86_64", "-machine", "pc", "-cpu", "max", "-m", "512", "-nodefaults", "-display", "none", "-serial",
         "stdio", "-no-reboot", "-kernel", image.kernel(guest), "-initrd", image.initramfs_with_disks(guest, suite.ours),
         "-append", "console=ttyS0 quiet panic=-1 no_timer_check"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    vm = Console(machine.stdout.fileno(), machine.stdin.fileno(), folder / "console.log")
    try:
        vm.hello(0, 180)
        with suite.check("the kernel sees no Hyper-V"):
            vm.sh("! dmesg | grep -q 'Hypervisor detected: Microsoft'")
        with suite.check(f"{', '.join(names)}: no device, no error, gone again"):
            for name in names:
                # The bus refuses, and what needs the bus cannot be loaded then.
                vm.sh(f"modprobe {name} 2>/dev/null; rmmod {name} 2>/dev/null; ! grep -q ^{name} /proc/modules")
        with suite.check("nothing to complain about"):
            expect_equal(modules.complaints(vm), "", "dmesg")
    finally:
        machine.kill()
        machine.wait()


case("our modules where there is no Hyper-V, 6.1-cloud", depth="full", guest="6.1-cloud",
     names=["hv_vmbus", "hv_utils", "hv_storvsc"])(elsewhere)
case("our modules where there is no Hyper-V, 6.12-cloud", depth="full", guest="6.12-cloud",
     names=["hv_vmbus", "hv_utils", "hv_storvsc"])(elsewhere)


def mixed(suite, guest, ours, processors=2):
    """Ours next to the kernel's own: services, a disk and a network adapter work."""
    if modules.missing(suite, guest, *ours):
        return
    options = [disk(suite)]
    with Machine(suite, guest, processors=processors, disks=True, options=options, ours=suite.ours.only(*ours)) as vm:
        vm.sh("modprobe hv_storvsc; modprobe sd_mod")
        with suite.check(f"{', '.join(ours)} of ours, the others Debian's"):
            vm.check_modules([name for name in ours if name != "hv_netvsc"])
            for name in set(modules.NAMES) - set(ours) - {"hv_netvsc"}:
                expect_equal(vm.sh(f"cat /sys/module/{name}/taint"), "", f"taint of {name}")
        check_services(suite, vm)
        with suite.check("a disk holds what is written to it"):
            vm.sh("n=0; until [ -b /dev/sda ]; do n=$((n+1)); [ $n -lt 100 ] || exit 1; usleep 100000; done")
            wanted = vm.sh("dd if=/dev/urandom of=/root/data bs=64k count=64 2>/dev/null; md5sum </root/data")
            vm.sh("dd if=/root/data of=/dev/sda bs=64k conv=fsync 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches")
            expect_equal(vm.sh("dd if=/dev/sda bs=64k count=64 2>/dev/null | md5sum"), wanted, "hash")
        with suite.check("a service goes and comes back"):
            for service in ["heartbeat", "snapshot"]:
                vm.lis("service", "disable", vm.name, service)
                vm.lis("service", "enable", vm.name, service)
            vm.sh("daemons start")
            vm.services_ready()
        with suite.check("nothing to complain about"):
            expect_equal(modules.complaints(vm), "", "dmesg")
        check_shutdown(suite, vm)


def mixed_network(suite, guest, ours, processors=2):
    if modules.missing(suite, guest, *ours):
        return
    with Machine(suite, guest, processors=processors, network=True, daemons=False, options=["--nic", "user"],
                 ours=suite.ours.only(*ours)) as vm:
        vm.sh("modprobe hv_netvsc")
        with suite.check(f"{', '.join(ours)} of ours, the others Debian's"):
            vm.check_modules(ours)
            for name in {"hv_vmbus", "hv_utils", "hv_netvsc"} - set(ours):
                expect_equal(vm.sh(f"cat /sys/module/{name}/taint"), "", f"taint of {name}")
        with suite.check("an adapter gets its address and reaches the gateway"):
            vm.sh("n=0; until [ -e /sys/class/net/eth0 ]; do n=$((n+1)); [ $n -lt 100 ] || exit 1; usleep 100000; done; "
                  "ip link set eth0 up && udhcpc -i eth0 -n -q -t 10 -s /bin/true", 60)
        with suite.check("nothing to complain about"):
            expect_equal(modules.complaints(vm), "", "dmesg")


for guest in ["6.1-cloud", "6.12-cloud"]:
    for ours in [["hv_vmbus"], ["hv_storvsc", "hv_utils"], ["hv_vmbus", "hv_utils"]]:
        case(f"mixed: our {' and '.join(ours)}, {{guest}}", depth="full", guest=guest, ours=ours)(mixed)
    for ours in [["hv_vmbus"], ["hv_netvsc"]]:
        case(f"mixed: our {' and '.join(ours)} and a network adapter, {{guest}}", depth="full", guest=guest,
             ours=ours)(mixed_network)


# Deeds of Kernel/lis_hostile that leave the ring whole: what is in it is dropped or answered.
NONSENSE = {3: "packets without headers", 4: "packets of other types", 5: "nonsense behind the headers",
            6: "sizes beyond the packet and beyond each other", 8: "requests cut short, years 1601 and 30828"}
RENEGOTIATION = 7
# Those that break it: the channel is given up.
BREAKS = {20: "a write index outside the ring", 21: "a write index that is not aligned", 22: "a packet of length 0",
          23: "a packet longer than what there is", 24: "a payload behind its packet"}


def hostile_host(suite, guest):
    """The worst of a hostile host against the loaded module: an error, never an oops, and the module still unloads."""
    if modules.missing(suite, guest, "hv_utils"):
        return
    hostile = suite.ours.file("lis_hostile", image.release(guest))
    if not hostile:
        suite.note("not run: no lis_hostile.ko in the folder of --modules")
        return
    # Those that are not written to by the real host meanwhile.
    names = {"kvp": "242ff919-07db-4180-9c2e-b86cb68c8c55", "snapshot": "2450ee40-33bf-4fbd-892e-9fb06e9214cf",
             "shutdown": "b6650ff7-33bc-4840-8048-e0676786f393"}
    if guest.startswith("6.1-"):
        names["copy"] = "eb765408-105f-49b6-b4aa-c123b64d17d4"
    with Machine(suite, guest, processors=2, disks=True, files={"root/hostile.ko": hostile}) as vm:
        vm.services_ready()
        vm.check_modules(["hv_utils"])
        # It knows disks too.
        vm.sh("modprobe sd_mod; insmod /root/hostile.ko")

        def do(name, deed):
            vm.sh(f"echo '{names[name]} {deed}' >/sys/module/lis_hostile/parameters/device")

        def again(name):
            vm.lis("service", "disable", vm.name, name)
            vm.wait_for("the guest drops the device", lambda _: vm.sh(
                f"test -e /sys/bus/vmbus/devices/{names[name]} && echo there || echo gone") == "gone")
            vm.lis("service", "enable", vm.name, name)
            vm.sh("daemons start")
            vm.services_ready([name])

        def works():
            expect_equal(vm.lis("kvp", "get", vm.name, "OSName", "--pool", "auto").strip(), vm.sh(
                ". /etc/os-release; echo \"$NAME\""), "OSName")
            vm.lis("vm", "freeze", vm.name)
            vm.lis("vm", "thaw", vm.name)
            vm.wait_for("heartbeat ok", lambda description: description["heartbeat"]["state"] == "ok")

        for deed, what in NONSENSE.items():
            with suite.check(f"{what}: dropped or answered, and the services go on"):
                for name in names:
                    do(name, deed)
                works()
        with suite.check("negotiations without end and without sense: the next real one counts"):
            for name in names:
                do(name, RENEGOTIATION)
                again(name)
            works()
        for deed, what in BREAKS.items():
            with suite.check(f"{what}: the channel ends, the others go on, the next offer works"):
                name = list(names)[deed % len(names)]
                vm.sh("dmesg -c >>/run/said")
                do(name, deed)
                vm.sh("n=0; until dmesg | grep -q 'out of use'; do n=$((n+1)); [ $n -lt 50 ] || exit 1; usleep 100000; done")
                vm.wait_for("heartbeat ok", lambda description: description["heartbeat"]["state"] == "ok")
                again(name)
                works()
        with suite.check("it unloads and loads, with nothing left behind"):
            vm.sh("daemons kill; rmmod lis_hostile; rmmod hv_utils && modprobe hv_utils && daemons start", 60)
            vm.services_ready()
        with suite.check("no oops, no trap"):
            noise = vm.sh("dmesg | cat /run/said - | grep -E 'Oops|BUG|WARNING|Call Trace|Swift trap|not given back'; true")
            expect_equal(noise, "", "dmesg")
        check_shutdown(suite, vm)


case("our hv_utils and a hostile host, 6.1-cloud", depth="full", guest="6.1-cloud")(hostile_host)
case("our hv_utils and a hostile host, 6.12-cloud", depth="full", guest="6.12-cloud")(hostile_host)
